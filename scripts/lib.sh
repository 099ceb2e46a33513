# What the scripts share: saying things, checking Node.js, installing what is missing, building. Sourced; expects
# `root` (the checkout) and `script` (the name in messages) to be set.

die() {
  printf '%s: %s\n' "$script" "$*" >&2
  exit 1
}

say() { printf '\033[2m>\033[0m %s\n' "$*"; }

check_node() {
  command -v node >/dev/null || die "Node.js is missing; version 20.19 or later is needed (https://nodejs.org)"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number)
    process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    die "Node.js $(node --version) is too old; 20.19 or later is needed (https://nodejs.org)"
}

# need_packages PROGRAM=PACKAGE...: installs the Debian packages whose program is missing.
need_packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || die "missing, and no apt-get to install them: ${missing[*]} (Debian's names)"
  say "installing Debian packages: apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
    say "refreshing the package lists first: apt-get update"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  }
}

# As the owner of the folder, so that root leaves no files behind that their owner cannot change.
as_owner() {
  local owner
  owner=$(stat -c %U "$root")
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
    runuser -u "$owner" -- env PATH="$PATH" "$@"
  else
    "$@"
  fi
}

# quiet WHAT COMMAND...: says what is done and how long it took; the output is shown only when it fails.
quiet() {
  local what=$1 start=$SECONDS output
  shift
  say "$what: $*"
  output=$(as_owner "$@" 2>&1) || die "$what failed:"$'\n'"$output"
  say "$what took $((SECONDS - start)) s"
}

# What a guest with a real kernel needs.
guest_packages=(linux.uml=user-mode-linux uml_mconsole=uml-utilities ip=iproute2 insmod=kmod nbd-client=nbd-client
  stress-ng=stress-ng)

prepare_programs() {
  cd "$root"
  local stamp=dist/.built
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    quiet "installing npm packages" npm ci --no-audit --no-fund
  fi
  if [ ! -e "$stamp" ] || [ ! -e dist/bin/nswap.js ] ||
    [ -n "$(find src bin proto test/system/guest scripts test/bench package.json package-lock.json tsconfig*.json \
      -newer "$stamp" -not -path '*/node_modules/*' -not -path '*/dist/*' \
      -not -name '*.generated.ts' -print -quit)" ]; then
    quiet "building" npm run build
    as_owner touch "$stamp"
  fi
}

