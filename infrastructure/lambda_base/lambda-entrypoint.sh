#!/bin/sh
# With a Runtime API there is a Lambda around this; without one the emulator is it.
if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
    exec python -m awslambdaric "$1"
fi
exec aws-lambda-rie python -m awslambdaric "$1"
