#!/bin/bash
# The first and only program of the guest: swaps over nbd, loads the memory, reports and powers off.
# The kernel's command line names a file of shell assignments (nswap.job=PATH), written by job.ts.
# Everything it has to say goes to the console as lines "NSWAP-STEP text", "NSWAP-RESULT key=value" and
# "NSWAP-FAIL text", which console.ts reads.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run LC_ALL=C
here=$(dirname "$(readlink -f "$0")")
for part in common net protect swap load work; do . "$here/$part.sh"; done

mount_basics
job=$(sed -n 's/.*nswap\.job=\([^ ]*\).*/\1/p' /proc/cmdline)
[ -r "$job" ] || fail "cannot read the job file '$job'"
. "$job"

step "network"
bring_up_network
raise_reserve
make_groups
if [ "$MODE" = local ]; then
  step "client inside the guest"
  widen_sockets
  start_daemon
fi
step "swap device"
load_nbd
attach
[ "$MODE" = local ] && warm_up
swap_on
[ "$BOUNDED" = yes ] && bound_load
enter_load_group

start_monitor
if [ -n "$WORK" ]; then
  run_work
  figures
  step "swapoff"
  swap_off
  kill "$monitor"
else
  step "load"
  run_loads
  step "swapoff"
  swap_off
  finish_hold
  figures
fi
detach
check_daemon
result finished=yes
power_off
