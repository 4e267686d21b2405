# docker build -f extracted_services/functions.Dockerfile -t functions .
#
# The function host with the functions of all teams. On AWS there is no such image: Lambda runs them, by infrastructure/.
FROM python:3.13-slim
WORKDIR /app
# Dependencies alone, so that a change of the code leaves this layer as it is. Pillow is what the functions' layer has.
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['functions'], 'pillow>=11', sep='\n')" > requirements.txt \
    && pip install --no-cache-dir -r requirements.txt
COPY proxy/ proxy/
COPY extracted_services/__init__.py extracted_services/functions.yaml extracted_services/
COPY extracted_services/uploads/ extracted_services/uploads/
COPY extracted_services/clicks/ extracted_services/clicks/
RUN useradd --system --uid 10001 function-host && install -d -o function-host /data
USER function-host
ENV STRANGLER_FUNCTIONS=extracted_services/functions.yaml STRANGLER_FUNCTIONS_HOST=0.0.0.0 STRANGLER_FUNCTIONS_PORT=9001 \
    STRANGLER_FUNCTIONS_FOLDER=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 9001
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9001/metrics', timeout=2)"]
CMD ["python", "-m", "proxy", "functions"]
