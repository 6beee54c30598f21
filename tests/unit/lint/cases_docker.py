"""More cases for the rules of Dockerfiles: texts a rule must catch, and texts it must leave alone."""

from __future__ import annotations

SLIM = "FROM python:3.12-slim\n"
CUDA = "FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04\n"
CPU = "FROM python:3.12-slim AS cpu\n"
UNBUFFERED = "ENV PYTHONUNBUFFERED=1\n"
UVICORN = 'CMD ["uvicorn", "app:app", "--port", "8000", "--limit-concurrency", "9"]\n'
CONDA = "FROM continuumio/miniconda3:24.9.2-0\n"
HUB = "from transformers import AutoModel; AutoModel.from_pretrained"
DIGEST = "@sha256:" + "0" * 64

Cases = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
BASES: Cases = {
    "LDD005": (
        (
            "FROM nvidia/cuda:10.2-cudnn7-runtime-ubuntu18.04\n",
            "FROM docker.io/nvidia/cuda:11.4.2-base-ubuntu20.04 AS a\n",
            "FROM nvidia/cuda:11.0-base\n",
            "FROM pytorch/pytorch:1.4-cuda10.1-cudnn7-runtime\n",
            "FROM tensorflow/tensorflow:2.3.0-gpu\n",
        ),
        (
            CUDA,
            "FROM nvidia/cuda:11.8.0-runtime-ubuntu22.04\n",
            f"FROM nvidia/cuda:10.2-base{DIGEST}\n",
            "FROM registry.acme.example/nvidia/cuda:10.2-base\n",
            "FROM tensorflow/tensorflow:2.3.0\n",
            "FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\n",
        ),
    ),
    "LDD006": (
        (SLIM, "ARG V=12\nFROM debian:$V\n", f"FROM a:1{DIGEST} AS x\nFROM debian:12\n"),
        (
            f"FROM debian:12{DIGEST}\n",
            "FROM scratch\n",
            f"FROM a:1{DIGEST} AS x\nFROM x\n",
            "ARG B\nFROM $B\n",
        ),
    ),
    "LDD033": (
        (
            "# syntax=someone/fast\nFROM debian:12\n",
            "# syntax = ghcr.io/someone/frontend:v2\nFROM debian:12\n",
            "#syntax=docker.example/dockerfile\nFROM debian:12\n",
        ),
        (
            "# syntax=docker/dockerfile:1\nFROM debian:12\n",
            "# syntax=docker.io/docker/dockerfile:1.7-labs\nFROM debian:12\n",
            "# syntax=docker/dockerfile-upstream:master\nFROM debian:12\n",
            f"# syntax=someone/fast:1{DIGEST}\nFROM debian:12\n",
            "FROM debian:12\n# syntax=someone/fast\n",
        ),
    ),
    "LDD036": (
        (
            "FROM --platform=linux/arm64 python:3.12\n"
            "RUN pip install a-1-cp312-cp312-manylinux2014_x86_64.whl\n",
            "FROM --platform=linux/amd64 python:3.12\n"
            "RUN pip3 install https://w.example/a-1-py3-none-manylinux_2_28_aarch64.whl\n",
            "FROM arm64v8/python:3.12\nRUN python -m pip install /w/a-1-py3-none-linux_x86_64.whl\n",
        ),
        (
            "FROM --platform=linux/arm64 python:3.12\n"
            "RUN pip install a-1-cp312-cp312-manylinux2014_aarch64.whl\n",
            "FROM python:3.12\nRUN pip install a-1-cp312-cp312-manylinux2014_x86_64.whl\n",
            "FROM --platform=$BUILDPLATFORM python:3.12\nRUN pip install a-1-py3-none-linux_x86_64.whl\n",
            "FROM --platform=linux/arm64 python:3.12\nRUN pip install a-1-py3-none-any.whl\n",
            "FROM --platform=linux/arm64 python:3.12\nRUN echo a-1-py3-none-linux_x86_64.whl\n",
        ),
    ),
}
INSTALLS: Cases = {
    "LDD003": (
        (
            CPU + "RUN pip install torch==2.6.0\n",
            SLIM + 'ENV CUDA_VISIBLE_DEVICES=""\nRUN pip3 install torch torchvision\n',
            SLIM + "RUN pip install faiss-cpu==1.9.0 torch>=2.2\n".replace("torch>=2.2", '"torch>=2.2"'),
        ),
        (
            SLIM + "RUN pip install torch==2.6.0\n",
            CPU + "RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.6.0\n",
            CPU + "RUN pip install torch==2.6.0+cpu -f https://download.pytorch.org/whl/torch_stable.html\n",
            CPU + "RUN pip install torch==1.13.1\n",
            CPU + "ENV PIP_EXTRA_INDEX_URL=https://w.example/cpu\nRUN pip install torch==2.6.0\n",
            "FROM --platform=linux/arm64 python:3.12 AS cpu\nRUN pip install torch==2.6.0\n",
        ),
    ),
    "LDD027": (
        (
            CONDA + "RUN conda install -y pytorch\n",
            CONDA + "COPY e.yml .\nRUN conda env create -f e.yml\n",
            "FROM mambaorg/micromamba:2.0\nRUN micromamba install -y -n base numpy \\\n    scipy\n",
            CONDA + "RUN mamba create -n x python && echo done\n",
        ),
        (
            CONDA + "RUN conda install -y pytorch && conda clean -afy\n",
            CONDA + "RUN --mount=type=cache,target=/opt/conda/pkgs conda install -y pytorch\n",
            "FROM continuumio/miniconda3 AS b\nRUN conda create -n x numpy\nFROM debian:12\n"
            "COPY --from=b /opt/conda /opt/conda\n",
            CONDA + "RUN conda config --add channels x\n",
            CONDA + "RUN conda install -y a && rm -rf /opt/conda/pkgs\n",
        ),
    ),
    "LDD035": (
        (
            SLIM + "RUN pip install --extra-index-url https://pypi.acme.example/simple a\n",
            SLIM + "RUN pip install -r r.txt --extra-index-url=https://u@art.example/api\n",
            SLIM + "RUN python3 -m pip install a \\\n  --extra-index-url http://10.0.0.1:8081/simple b\n",
        ),
        (
            SLIM + "RUN pip install --extra-index-url https://download.pytorch.org/whl/cu124 torch==2.6.0\n",
            SLIM + "RUN pip install --index-url https://pypi.acme.example/simple a\n",
            SLIM + "RUN pip install --require-hashes --extra-index-url https://pypi.acme.example/simple -r "
            "r.txt\n",
            SLIM + "RUN pip install --extra-index-url $INDEX a\n",
            SLIM + "RUN uv pip install --extra-index-url https://pypi.acme.example/simple a\n",
        ),
    ),
    "LDD024": (
        (
            SLIM + "RUN pip install fastapi pytest\n" + UVICORN,
            SLIM + "RUN pip install jupyterlab==4.3.4\nCMD python train.py\n",
            SLIM + "RUN pip install debugpy\nENTRYPOINT gunicorn -t 9 app:app\n",
        ),
        (
            SLIM + "RUN pip install jupyterlab\nCMD jupyter lab\n",
            "FROM python:3.12 AS dev\nRUN pip install pytest\n" + UVICORN,
            "FROM python:3.12 AS a\nFROM a AS test\nRUN pip install pytest\nCMD pytest\n",
            SLIM + "RUN pip install fastapi\n" + UVICORN,
            SLIM + 'RUN pip install pytest\nCMD ["bash"]\n',
            SLIM + "RUN pip install pytest\nCMD python run_tests.py\n",
        ),
    ),
    "LDD025": (
        (
            SLIM
            + "RUN apt-get update && apt-get install -y build-essential\nRUN pip install lightgbm\n"
            + UVICORN,
            SLIM + "RUN apt-get install -y gcc=4:12 git\nCMD gunicorn -t 9 app:app\n",
            "FROM ubuntu:24.04\nRUN apt-get update && apt-get install -y cmake python3-pip\n" + UVICORN,
        ),
        (
            SLIM + "RUN apt-get install -y gcc && pip install x && apt-get purge -y gcc\n" + UVICORN,
            SLIM + "RUN apt-get install -y gcc\nRUN pip install torch\n" + UVICORN,
            SLIM + "RUN apt-get install -y gcc\nCOPY r.txt .\nRUN pip install -r r.txt\n" + UVICORN,
            SLIM + "RUN apt-get install -y gcc\nCMD python train.py\n",
            "FROM python:3.12 AS b\nRUN apt-get install -y gcc\n" + SLIM + "COPY --from=b /w /w\n" + UVICORN,
        ),
    ),
    "LDD026": (
        (
            SLIM + "RUN pip install optuna uvicorn\n" + UVICORN,
            SLIM + "RUN pip install pytorch_lightning\nCMD gunicorn -t 9 a:b\n",
            "FROM python:3.12 AS base\nRUN pip install wandb\nFROM base\n" + UVICORN,
        ),
        (
            SLIM + "RUN pip install optuna\nCMD python tune.py\n",
            SLIM + "RUN pip install fastapi uvicorn\n" + UVICORN,
            "FROM python:3.12 AS train\nRUN pip install optuna\n" + SLIM + UVICORN,
        ),
    ),
}
GPUS: Cases = {
    "LDD002": (
        (
            CUDA + "RUN pip install torch==2.6.0\n",
            CUDA + 'RUN pip3 install --no-cache-dir "jax[cuda12]"\n',
            "FROM nvcr.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04\n"
            "RUN pip install torch --index-url https://download.pytorch.org/whl/cu124\n",
        ),
        (
            "FROM nvidia/cuda:12.4.1-base-ubuntu22.04\nRUN pip install torch==2.6.0\n",
            CUDA + "RUN pip install torch --index-url https://download.pytorch.org/whl/cpu\n",
            CUDA + "RUN pip install torch==2.6.0 onnxruntime-gpu\n",
            CUDA + "RUN pip install torch==1.13.1\n",
            CUDA + "RUN pip install torch==2.6.0 -r r.txt\n",
            SLIM + "RUN pip install torch==2.6.0\n",
        ),
    ),
    "LDD029": (
        (
            SLIM + "ENV OMP_NUM_THREADS=16\n",
            SLIM + "ENV A=1 \\\n  MKL_NUM_THREADS=8\n",
            SLIM + "ENV OMP_WAIT_POLICY=ACTIVE\n",
        ),
        (
            SLIM + "ENV OMP_NUM_THREADS=1\n",
            SLIM + "ENV OMP_NUM_THREADS=$THREADS\n",
            SLIM + "ENV OMP_WAIT_POLICY=PASSIVE\n",
            "FROM python:3.12 AS a\nENV OMP_NUM_THREADS=8\n" + SLIM,
            SLIM + "RUN OMP_NUM_THREADS=8 python x.py\n",
        ),
    ),
    "LDD030": (
        (
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\nRUN pip install torch==2.6.0\n",
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda-12.4/lib64:$LD_LIBRARY_PATH\n"
            'RUN pip install "jax[cuda12]"\n',
            SLIM
            + "ENV A=1 LD_LIBRARY_PATH=/opt/x:/usr/local/cuda/lib64\nRUN pip install tensorflow[and-cuda]\n",
        ),
        (
            SLIM + "ENV LD_LIBRARY_PATH=/opt/lib\nRUN pip install torch\n",
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\nRUN pip install numpy\n",
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\nRUN pip install torch cupy-cuda12x\n",
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\n"
            "RUN pip install torch --index-url https://download.pytorch.org/whl/cpu\n",
        ),
    ),
    "LDD031": (
        (
            SLIM + 'RUN pip install "jax[cuda12]"\nCMD python a.py\n',
            SLIM + 'RUN pip install onnxruntime-gpu[cuda,cudnn]\nENTRYPOINT ["python", "a.py"]\n',
            "FROM ubuntu:22.04\nRUN pip install torch --index-url https://download.pytorch.org/whl/cu124\n",
        ),
        (
            SLIM + "RUN pip install torch\n",
            CUDA + "RUN pip install vllm\n",
            SLIM + "ENV NVIDIA_VISIBLE_DEVICES=all\nRUN pip install vllm\n",
            "FROM acme/base:1\nRUN pip install vllm\n",
        ),
    ),
}
MODELS: Cases = {
    "LDD013": (
        (
            SLIM + "COPY model.onnx serve.py /app/\n",
            SLIM + 'COPY ["src", "w/best.safetensors", "/app/"]\n',
            SLIM + "ADD app/ model.tflite /srv/\n",
        ),
        (
            SLIM + "COPY model.onnx /app/\nCOPY serve.py /app/\n",
            SLIM + "COPY a.py b.py /app/\n",
            SLIM + "COPY --from=a model.onnx a.py /app/\n",
            SLIM + "COPY . .\n",
        ),
    ),
    "LDD014": (
        (
            SLIM + "COPY model.pkl /m/\n",
            SLIM + "COPY a.py weights/best.pt /m/\n",
            SLIM + 'ADD ["m.joblib", "/m/"]\n',
        ),
        (
            SLIM + "COPY model.safetensors /m/\n",
            "FROM python:3.12 AS a\nCOPY m.pkl .\n" + SLIM + "COPY --from=a m.onnx /m/\n",
            SLIM + "COPY extra.pth /usr/lib/python3/site-packages/\n",
            SLIM + "COPY pickles/ /m/\n",
        ),
    ),
    "LDD015": (
        (
            SLIM + "RUN huggingface-cli download acme/model\n",
            SLIM + f"RUN python -c \"{HUB}('acme/model')\"\n",
            SLIM + "RUN wget -O /m.pt https://w.example/m.pt\n",
            SLIM + "ADD https://w.example/m.onnx?download=1 /m.onnx\n",
            SLIM + "RUN git lfs install && git clone https://huggingface.co/acme/model /m\n",
        ),
        (
            SLIM + "RUN huggingface-cli download acme/model --revision 0123456\n",
            SLIM + f"RUN python -c \"{HUB}('acme/model', revision='0123456')\"\n",
            SLIM + f"RUN python -c \"{HUB}('/models/mine')\"\n",
            SLIM + "RUN curl -o m.pt https://w.example/m.pt && sha256sum -c m.sha256\n",
            SLIM + f"ADD --checksum=sha256:{'0' * 64} https://w.example/m.onnx /m.onnx\n",
            SLIM + "RUN wget https://w.example/tool.tar.gz\n",
            SLIM + "RUN git clone https://huggingface.co/acme/model /m && git -C /m checkout 0123456\n",
        ),
    ),
}
STARTS: Cases = {
    "LDD020": (
        (
            SLIM + 'CMD ["uvicorn", "app:app"]\n',
            SLIM + "CMD exec uvicorn app:app --host 0.0.0.0\n",
            SLIM + 'ENTRYPOINT ["python", "-m", "gunicorn", "app:app"]\n',
        ),
        (
            SLIM + UVICORN,
            SLIM + 'CMD ["gunicorn", "-t", "120", "app:app"]\n',
            SLIM + 'CMD ["gunicorn", "-c", "conf.py", "app:app"]\n',
            SLIM + "CMD python serve.py\n",
            SLIM + 'ENV GUNICORN_CMD_ARGS="--timeout 90"\nCMD gunicorn app:app\n',
        ),
    ),
    "LDD021": (
        (
            SLIM + UVICORN,
            "FROM nvcr.io/nvidia/tritonserver:24.10-py3\nCMD tritonserver --model-repository=/m\n",
            SLIM + 'HEALTHCHECK --interval=5s --retries=2 CMD ["true"]\nCMD gunicorn app:app\n',
            SLIM + "# how it starts\nCMD exec gunicorn -b 0.0.0.0:80 app:app\n",
        ),
        (
            SLIM + 'HEALTHCHECK --start-period=60s CMD ["true"]\n' + UVICORN,
            SLIM + "CMD python train.py\n",
            "FROM acme/base:1\n" + UVICORN,
            SLIM + "HEALTHCHECK NONE\n" + UVICORN,
            SLIM + "CMD uvicorn app:app --reload\n",
            SLIM + "CMD mlflow server\n",
        ),
    ),
    "LDD022": (
        (
            SLIM + "EXPOSE 5000\n" + UVICORN,
            SLIM + 'EXPOSE 80 443\nENTRYPOINT ["gunicorn", "-b", "0.0.0.0:9000", "app:app"]\n',
            SLIM + "EXPOSE 5000/tcp\nCMD streamlit run a.py --server.port=8501\n",
        ),
        (
            SLIM + "EXPOSE 8000\n" + UVICORN,
            SLIM + "EXPOSE 5000\nCMD uvicorn app:app --port $PORT\n",
            SLIM + "EXPOSE $PORT\n" + UVICORN,
            SLIM + "EXPOSE 5000\nCMD uvicorn app:app\n",
            SLIM + "EXPOSE 8000-8010\n" + UVICORN,
            SLIM + UVICORN,
            SLIM + "EXPOSE 8000 9090\n" + UVICORN,
        ),
    ),
    "LDD028": (
        (
            SLIM + "CMD python train.py\n",
            CUDA + 'ENTRYPOINT ["python3", "-m", "jobs.train"]\n',
            SLIM + "# start\nCMD exec gunicorn -t 9 app:app\n",
        ),
        (
            SLIM + UNBUFFERED + "CMD python train.py\n",
            SLIM + "CMD python -u train.py\n",
            "FROM acme/base:1\nCMD python train.py\n",
            SLIM + 'CMD ["bash"]\n',
            "FROM python:3.12 AS a\n" + UNBUFFERED + "FROM a\nCMD python train.py\n",
            SLIM + "CMD python train.py && python eval.py\n",
        ),
    ),
    "LDD038": (
        (
            "FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\nCMD torchrun --nproc_per_node=8 train.py\n",
            SLIM + 'ENTRYPOINT ["python", "-m", "torch.distributed.run", "train.py"]\n',
            SLIM + "CMD accelerate launch train.py\n",
        ),
        (
            SLIM + 'ENTRYPOINT ["tini", "--", "torchrun", "train.py"]\n',
            SLIM + "CMD python train.py\n",
            "FROM nvcr.io/nvidia/pytorch:24.10-py3\nCMD torchrun train.py\n",
            SLIM + 'ENTRYPOINT ["dumb-init", "--"]\nCMD ["torchrun", "train.py"]\n',
        ),
    ),
}
DOCKERFILES: Cases = {**BASES, **INSTALLS, **GPUS, **MODELS, **STARTS}
