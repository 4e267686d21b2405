# The gateway: docker build -t strangler-fig .
# The table belongs at /etc/strangler/routes.yaml; mount its folder, see docs/docker-compose.md for the reason.

FROM python:3.13-slim AS build
WORKDIR /src
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/strangler
# Dependencies alone, so that a change of the code leaves this layer as it is.
COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*p['dependencies'], *p['optional-dependencies']['otel'], sep='\n')" \
        > requirements.txt \
    && pip --python /opt/strangler/bin/python install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY README.md LICENSE hatch_build.py ./
COPY proxy/ proxy/
# The hot path is compiled; the source runs without it, too.
RUN STRANGLER_COMPILE=1 pip --python /opt/strangler/bin/python install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
COPY --from=build /opt/strangler /opt/strangler
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin strangler
USER strangler
# Inside a container the admin port cannot be on loopback; who may reach it is decided by what is published,
# and writes need STRANGLER_ADMIN_TOKEN.
ENV PATH=/opt/strangler/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STRANGLER_CONFIG=/etc/strangler/routes.yaml \
    STRANGLER_ADMIN_HOST=0.0.0.0 \
    STRANGLER_ADMIN_PORT=9901
EXPOSE 8080 9901
# No proxy: Docker may hand the host's http_proxy to every container, and this call must not leave it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['STRANGLER_ADMIN_PORT'] + '/livez', timeout=2)"]
ENTRYPOINT ["strangler"]
CMD ["serve"]
