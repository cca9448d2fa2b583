# Serves a finished run on a CPU; compose.yaml shows how to start it. docs/how-to/serve.md explains both.
FROM python:3.13-slim
ARG EXTRAS=serve,timm
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY baselines baselines
COPY configs configs
COPY fusionclf fusionclf
# PyTorch's own index has builds without CUDA, which are a tenth as large.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu ".[${EXTRAS}]" \
    && useradd --uid 10001 --create-home fusionclf
USER fusionclf
ENV PYTHONUNBUFFERED=1 FUSIONCLF_CACHE=/tmp/fusionclf
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["fusionclf"]
CMD ["serve", "--run", "/model", "--host", "0.0.0.0", "--cpu", "--log-format", "json"]
