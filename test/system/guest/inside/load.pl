#!/usr/bin/perl
# A memory load that knows what it should read back.
#
#   load.pl random --bytes N --seconds S [--seed K] [--while FILE]
#                                        fill N bytes, then read and write pages at random for S seconds, and on
#                                        while FILE exists, then check every page
#   load.pl hold   --bytes N [--seed K]  fill N bytes, say so, check every page at SIGUSR1, end
#
# The content of a page is a function of (page, generation): a tag at both ends and between them a window of a
# random table. A page from elsewhere, an older content of the same page, a mixture of two pages and a page of
# zeros are all told apart. Exit status: 0 all right, 2 wrong content (each wrong page named), 1 wrong usage.
use strict;
use warnings;

use constant { PAGE => 4096, TAG => 16, WINDOW => 4096 - 32, OFFSETS => 4093, WRONG_MAX => 20, PAD => 4096 - 16 };

my $mode = shift @ARGV // "";
my %option = (bytes => 0, seconds => 10, seed => 1);
my $while_file = "";
while (@ARGV) {
  my $name = shift @ARGV;
  if ($name eq "--while") {
    $while_file = shift @ARGV // "";
    next;
  }
  usage("unknown argument $name") unless $name =~ /^--(bytes|seconds|seed)$/;
  my $key = $1;
  my $value = shift @ARGV // "";
  usage("$name wants a whole number, got '$value'") unless $value =~ /^\d+$/;
  $option{$key} = $value;
}
usage("the mode must be random or hold, got '$mode'") unless $mode =~ /^(random|hold)$/;
my $pages = int($option{bytes} / PAGE);
usage("--bytes must be at least " . PAGE . ", got $option{bytes}") if $pages < 1;

$| = 1;
srand($option{seed});
my $table = join "", map { pack "V", int rand 4294967296 } 1 .. 2 * PAGE / 4;
my $mem = "";
my $generation = "";
my $wrong = 0;
my %count = (reads => 0, writes => 0);

my $aligned = fill();

if ($mode eq "hold") {
  my $check = 0;
  $SIG{USR1} = sub { $check = 1 };
  print "load: holding $pages pages\n";
  select undef, undef, undef, 0.1 until $check;
} else {
  my $end = time + $option{seconds};
  while (time < $end || ($while_file ne "" && -e $while_file)) {
    for (1 .. 64) {
      my $page = int rand $pages;
      check_page($page);
      write_page($page, vec($generation, $page, 32) + 1) if rand() < 0.5;
    }
  }
}
check_page($_) for 0 .. $pages - 1;
print "load: mode=$mode pages=$pages reads=$count{reads} writes=$count{writes} aligned=$aligned wrong=$wrong\n";
exit($wrong ? 2 : 0);

# The memory is one string, grown by appending so that no page is ever touched before it has its content: pages of
# zeros would go to swap first, and they are no load. PAD makes a page of the load a page of the machine: a large
# block of malloc starts 16 bytes into a page.
sub fill {
  $mem = "\0" x PAD;
  for my $page (0 .. $pages - 1) {
    $mem .= content($page, 1);
    vec($generation, $page, 32) = 1;
  }
  $count{writes} += $pages;
  return (unpack("J", pack("p", $mem)) + PAD) % PAGE == 0 ? "yes" : "no";
}

sub content {
  my ($page, $gen) = @_;
  my $tag = pack "VVVV", $page, $gen, $option{seed}, $page ^ ($gen * 2654435761 & 0xffffffff);
  return $tag . substr($table, ($page * 977 + $gen * 31) % OFFSETS, WINDOW) . $tag;
}

sub write_page {
  my ($page, $gen) = @_;
  substr($mem, PAD + $page * PAGE, PAGE) = content($page, $gen);
  vec($generation, $page, 32) = $gen;
  $count{writes}++;
}

sub check_page {
  my ($page) = @_;
  my $gen = vec($generation, $page, 32);
  $count{reads}++;
  return if substr($mem, PAD + $page * PAGE, PAGE) eq content($page, $gen);
  $wrong++;
  my $head = unpack "H32", substr($mem, PAD + $page * PAGE, TAG);
  my $tail = unpack "H32", substr($mem, PAD + $page * PAGE + PAGE - TAG, TAG);
  print STDERR "load: WRONG page=$page generation=$gen head=$head tail=$tail\n" if $wrong <= WRONG_MAX;
  exit 2 if $wrong > WRONG_MAX;
}

sub usage {
  print STDERR "load.pl: $_[0]\nusage: load.pl random|hold --bytes N [--seconds S] [--seed K] [--while FILE]\n";
  exit 1;
}
