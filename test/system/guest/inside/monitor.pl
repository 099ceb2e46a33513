#!/usr/bin/perl
# Prints the guest's own figures once a second as "NSWAP-PROGRESS key=value ..." on standard output.
# It is locked in memory and starts no process, so that it keeps printing while memory is short.
use strict;
use warnings;

use constant { SYS_MLOCKALL => 151, MCL_CURRENT_AND_FUTURE => 3 };

syscall(SYS_MLOCKALL, MCL_CURRENT_AND_FUTURE) == 0 or warn "monitor: mlockall: $!\n";
open(my $vmstat, "<", "/proc/vmstat") or die "vmstat: $!";
open(my $meminfo, "<", "/proc/meminfo") or die "meminfo: $!";
my $text = "\0" x 16384;
while (1) {
  my ($mem_free, $available, $swap_total, $swap_free) =
    figures($meminfo, "MemFree:", "MemAvailable:", "SwapTotal:", "SwapFree:");
  my ($in, $out) = figures($vmstat, "pswpin", "pswpout");
  my $line = sprintf "NSWAP-PROGRESS memFreeKiB=%d memAvailableKiB=%d swapUsedKiB=%d pagesIn=%d pagesOut=%d\n",
    $mem_free, $available, $swap_total - $swap_free, $in, $out;
  syswrite STDOUT, $line;
  select undef, undef, undef, 1;
}

sub figures {
  my ($file, @names) = @_;
  sysseek $file, 0, 0;
  sysread $file, $text, 16384;
  return map { $text =~ /^\Q$_\E\s+(\d+)/m ? $1 : 0 } @names;
}
