# syntax=docker/dockerfile:1
# The web app, on the CPU:              docker build -t deformviz . && docker run -p 7860:7860 deformviz
# On an NVIDIA GPU, with its driver and the NVIDIA Container Toolkit:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t deformviz .
#   docker run --gpus all -p 7860:7860 deformviz
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Threads that wait for each other sleep, see app.py; what is written goes where anyone may write.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    OMP_WAIT_POLICY=PASSIVE \
    HOME=/tmp/deformviz \
    TMPDIR=/tmp/deformviz \
    GRADIO_TEMP_DIR=/tmp/deformviz/gradio

# User 1000 is the one that Hugging Face Spaces run a container as.
RUN useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin deformviz \
    && mkdir -p /tmp/deformviz/gradio \
    && chown -R 1000:1000 /tmp/deformviz

WORKDIR /app
# Before the rest: a change of the app installs nothing again. torch has an index for each device.
COPY requirements.txt ./
RUN pip install --extra-index-url "$TORCH_INDEX" -r requirements.txt "onnxruntime>=1.31"

COPY app.py ./
COPY assets ./assets
COPY deformviz ./deformviz

USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/deformviz-draw', timeout=8)"]

ENTRYPOINT ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
