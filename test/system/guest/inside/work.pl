#!/usr/bin/perl
# Work for the benchmark: as much as is asked for, as fast as it goes, each page checked when it is visited.
#
#   work.pl sweep  --bytes N --sweeps S [--seed K]      write every page once, then go over all of them S times in
#                                                       order, and change each
#   work.pl random --bytes N --accesses A [--seed K]    write every page once, then visit A pages at random, and
#                                                       change every second one
#   work.pl lines  --bytes N [--seed K]                 print lines of 1 KiB in no order, the same for each K
#
# What is measured begins when every page was written once. A page is a tag, which says which page it is and how
# often it was changed, and a window of a random table. Exit status: 0 all right, 2 a page was not what it should
# be, 1 wrong usage.
use strict;
use warnings;

use constant { PAGE => 4096, TAG => 16, LINE => 1024, PAD => 4096 - 16, OFFSETS => 4093 };

my $mode = shift @ARGV // "";
my %option = (bytes => 0, sweeps => 1, accesses => 1, seed => 1);
while (@ARGV) {
  my $name = shift @ARGV;
  my $value = shift @ARGV // "";
  usage("unknown argument $name") unless $name =~ /^--(bytes|sweeps|accesses|seed)$/;
  my $key = $1;
  usage("$name wants a whole number, got '$value'") unless $value =~ /^\d+$/;
  $option{$key} = $value;
}
usage("the mode must be sweep, random or lines, got '$mode'") unless $mode =~ /^(sweep|random|lines)$/;
my $pages = int($option{bytes} / PAGE);
usage("--bytes must be at least " . PAGE . ", got $option{bytes}") if $pages < 1;

# A generator of our own: that of perl is not the same everywhere, and the lines are to be.
my $state = $option{seed};
sub next32 {
  $state = ($state ^ ($state << 13)) & 0xffffffff;
  $state ^= $state >> 17;
  $state = ($state ^ ($state << 5)) & 0xffffffff;
  return $state;
}

if ($mode eq "lines") {
  for (1 .. $option{bytes} / LINE) {
    printf "%08x%08x%08x %0998d\n", next32(), next32(), next32(), $_;
  }
  exit 0;
}

my $table = join "", map { pack "V", next32() } 1 .. 2 * PAGE / 4;
my $changed = "";
# One string, grown by appending, so that no page is touched before it has its content. PAD makes a page of ours a
# page of the machine: a large block of malloc starts 16 bytes into a page.
my $mem = "\0" x PAD;
for my $page (0 .. $pages - 1) {
  vec($changed, $page, 32) = 0;
  $mem .= tag($page, 0) . substr($table, ($page * 977) % OFFSETS, PAGE - TAG);
}
my @before = figures();
if ($mode eq "sweep") {
  for (1 .. $option{sweeps}) {
    visit($_, 1) for 0 .. $pages - 1;
  }
} else {
  visit(next32() % $pages, $_ & 1) for 1 .. $option{accesses};
}
my @after = figures();
printf "measured ms=%d out=%d in=%d\n", map { $after[$_] - $before[$_] } 0 .. 2;

# Milliseconds since boot, pages swapped out and in.
sub figures {
  my $vmstat = slurp("/proc/vmstat");
  my $ms = slurp("/proc/uptime") =~ /^(\S+)/ ? $1 * 1000 : 0;
  return ($ms, map { $vmstat =~ /^$_ (\d+)/m ? $1 : 0 } "pswpout", "pswpin");
}

sub slurp {
  open(my $file, "<", $_[0]) or die "$_[0]: $!";
  local $/;
  return <$file>;
}

sub tag {
  my ($page, $count) = @_;
  return pack "VVVV", $page, $count, $option{seed}, ($page ^ ($count * 2654435761)) & 0xffffffff;
}

sub visit {
  my ($page, $change) = @_;
  my $at = PAD + $page * PAGE;
  my $count = vec($changed, $page, 32);
  if (substr($mem, $at, TAG) ne tag($page, $count)) {
    print STDERR "work: WRONG page=$page count=$count head=" . unpack("H32", substr($mem, $at, TAG)) . "\n";
    exit 2;
  }
  return unless $change;
  vec($changed, $page, 32) = $count + 1;
  substr($mem, $at, TAG) = tag($page, $count + 1);
}

sub usage {
  print STDERR "work.pl: $_[0]\nusage: work.pl sweep|random|lines --bytes N [--sweeps S] [--accesses A] [--seed K]\n";
  exit 1;
}
