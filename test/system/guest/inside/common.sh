# What every part of the guest's script uses. Sourced by init.sh.

say() { printf '%s\n' "$*"; }
step() { say "NSWAP-STEP $*"; }
result() { say "NSWAP-RESULT $*"; }

fail() {
  say "NSWAP-FAIL $*"
  [ -s /run/daemon.log ] && sed 's/^/daemon: /' /run/daemon.log | tail -n 40
  power_off
}

# By the system call, because the program poweroff is not on every machine (x86-64: reboot, POWER_OFF).
power_off() {
  perl -e 'select undef, undef, undef, 0.3; syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'
  sleep 60
}

mount_basics() {
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t devtmpfs dev /dev 2>/dev/null
  mount -t tmpfs -o size=32m tmpfs /run
  mount -t cgroup2 none /sys/fs/cgroup || fail "no cgroup v2 in this kernel"
  cd /run
}

# vmstat NAME: one counter of /proc/vmstat
vmstat() { sed -n "s/^$1 //p" /proc/vmstat; }
# mem_kib NAME: one figure of /proc/meminfo
mem_kib() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }
# now_ms: milliseconds since boot, without starting a program
now_ms() {
  local up rest
  read -r up rest </proc/uptime
  echo $((10#${up/./} * 10))
}
