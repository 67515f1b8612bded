"""Interpreters and shells of Debian as they are, with modules and threads where they have some."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.loading.start import start_of
from tests.support.bundles import execute
from tests.support.installed import Row, same_as_on_linux

pytestmark = pytest.mark.slow

PERL = (
    *(f"/usr/lib/x86_64-linux-gnu/perl/5.*/{each}" for each in ("[DESTt]*", "auto/[DESTt]*")),
    "/usr/share/perl/5.*/Digest",
)
PERL_MODULES = r"""
use threads; use threads::shared; use List::Util qw(sum); use Data::Dumper; use Encode;
use POSIX qw(floor strftime); use Digest::SHA qw(sha256_hex); use Time::HiRes qw(sleep);
$Data::Dumper::Sortkeys = 1;
print Dumper({a => [1, 2], sum => sum(1 .. 10)}), strftime("%Y-%m-%d ", gmtime(0)), floor(3.7);
print " ", sha256_hex("x"), " ", length(encode("UTF-8", "\x{e9}\x{20ac}")), "\n";
my $n :shared = 0;
my @t = map { my $i = $_; threads->create(sub {
    for (1 .. 20) { { lock($n); $n += $i; } }
    sleep(0.002); return $i * 2;
}) } 1 .. 4;
print join(",", map { $_->join } @t), " $n\n";
"""
RUBY_MODULES = r"""
threads = 4.times.map { |i| Thread.new { (1..100).sum * i } }
puts JSON.generate({a: threads.map(&:value), s: Set.new([1, 2, 2]).to_a})
puts Digest::SHA256.hexdigest("x"), format("%.3f", Math::PI), 2**100
queue = Queue.new
Thread.new { 3.times { |i| queue << i; sleep 0.001 }; queue << nil }
while (got = queue.pop); puts got; end
fiber = Fiber.new { |x| loop { x = Fiber.yield(x * 2) } }
p fiber.resume(3), fiber.resume(4)
begin; raise ArgumentError, "wrong"; rescue => error; puts error.full_message(highlight: false); end
"""
TCL = b"""puts [expr {2**100}]; puts [lsort {b a c}]
puts [clock format 0 -gmt 1 -format %Y]
after 5 {set done 1}; vwait done
puts [encoding convertfrom utf-8 [encoding convertto utf-8 [string toupper abc]]]
"""
PHP = """echo json_encode(['a' => array_map(fn($x) => $x ** 2, [1, 2, 3])]), PHP_EOL;
echo hash('sha256', 'x'), PHP_EOL, preg_replace('/(a)(b)/', '$2$1', 'abab'), PHP_EOL;
function g() { for ($i = 0; $i < 3; $i++) yield $i; } foreach (g() as $x) echo $x;
"""
OPCACHE = "/usr/lib/php/20220829/opcache.so"
COMPILED = """function f($n) { $s = 0; for ($i = 0; $i < $n; $i++) $s += $i % 7; return $s; }
echo f(2000000), " ", opcache_get_status()['jit']['on'] ? "compiled" : "interpreted", PHP_EOL;
echo preg_replace('/(a)(b)/', '$2$1', str_repeat('ab', 3)), PHP_EOL;
"""
TRACED = """local s = 0; for i = 1, 5e6 do s = s + i % 7 end print(s, (jit.status()))
local ffi = require('ffi'); ffi.cdef'void qsort(void *, size_t, size_t, int (*)(int *, int *));'
local n = ffi.new('int[4]', 3, 1, 4, 1); ffi.C.qsort(n, 4, 4, function(a, b) return a[0] - b[0] end)
print(n[0], n[1], n[2], n[3])
"""
GUILE = """(use-modules (srfi srfi-1) (ice-9 format) (ice-9 threads))
(format #t "~a ~,3f ~a~%" (expt 2 100) 3.14159 (fold + 0 (iota 10)))
(display (call/cc (lambda (k) (+ 1 (k 42)))))
(display (par-map (lambda (x) (* x x)) '(1 2 3)))
"""
AWK = """{ a[$1] += $2 }
END { n = asorti(a, b); for (i = 1; i <= n; i++) printf "%s %.2f\\n", b[i], a[b[i]]
      print strftime("%Y", 0, 1), gensub(/(.)(.)/, "\\\\2\\\\1", "g", "abcd") }
"""
BASH = r"""a=(1 2 3); echo "${a[@]/2/x}" $((2 ** 40))
[[ abc =~ b(.) ]] && echo "${BASH_REMATCH[1]}"
printf '%(%Y)T\n' 0; read -r word <<< here; echo "$word"; declare -A m=([k]=v); echo "${m[k]}"
trap 'echo bye' EXIT
"""
PROLOG = "X is 2**100, print(X), nl, thread_create(true, T), thread_join(T)"
NODE = "console.log([1, 2].map(x => x * 2)); setTimeout(() => console.log('later'), 5)"

ROWS = {
    "perl with modules and threads": Row("perl", ["perl", "-e", PERL_MODULES], include=PERL),
    "ruby": Row(
        "ruby",
        ["ruby", "-Ku", "-rjson", "-rset", "-rdigest", "-e", RUBY_MODULES],
    ),
    "tclsh": Row("tcl", ["tclsh"], TCL, include=["/usr/share/tcltk/tcl8.6"]),
    "php without jit": Row(
        "php-cli",
        ["php", "-n", "-d", "pcre.jit=0", "-r", PHP],
        include=["/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/*.tab"],
        large=True,
    ),
    "php with jit": Row(
        "php-cli",
        [
            *("php", "-n", "-d", f"zend_extension={OPCACHE}", "-d", "opcache.enable_cli=1"),
            *("-d", "opcache.jit_buffer_size=16M", "-d", "opcache.jit=tracing", "{here}/x.php"),
        ],
        include=[OPCACHE, "/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/*.tab"],
        files={"x.php": b"<?php\n" + COMPILED.encode()},
        features=("jit",),
        large=True,
    ),
    "luajit with jit": Row("luajit", ["luajit", "-e", TRACED], features=("jit",)),
    "guile without jit": Row(
        "guile-3.0",
        ["guile", "--no-auto-compile", "-c", GUILE],
        include=[
            "/usr/share/guile/3.0",
            "/usr/lib/x86_64-linux-gnu/guile/3.0",
            "/usr/lib/x86_64-linux-gnu/gconv/ISO8859-1.so",
            "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules*",
        ],
        environment=["GUILE_AUTO_COMPILE=0", "GUILE_JIT_THRESHOLD=-1"],
        large=True,
    ),
    "luajit without jit": Row(
        "luajit",
        ["luajit", "-joff", "-e", "print(string.rep('x', 3), 2^53, require('ffi').sizeof('long'))"],
        large=True,
    ),
    "gawk": Row("gawk", ["gawk", AWK], b"a 1\nb 2\na 3.5\n"),
    "bc": Row("bc", ["bc", "-lq"], b"scale=50; 4*a(1); 2^200; e(1)\n"),
    "dc": Row("dc", ["dc", "-e", "2 200 ^ p 10 k 2 v p"], large=True),
    "m4": Row("m4", ["m4"], b"define(`f',`$1$1')f(`ab') eval(2**10)\n", large=True),
    "bash": Row("bash", ["bash", "-c", BASH]),
    "swipl": Row(
        "swi-prolog-nox",
        ["swipl", "-g", PROLOG, "-t", "halt"],
        include=["/usr/lib/swi-prolog"],
        large=True,
    ),
    "ocaml, the toplevel": Row(
        "ocaml-nox",
        ["ocamlrun", "/usr/bin/ocaml", "-noinit", "{here}/x.ml"],
        include=[
            "/usr/bin/ocaml",
            "/usr/lib/ocaml/*.cm*",
            "/usr/lib/ocaml/stdlib*",
            "/usr/lib/ocaml/ld.conf",
            "/usr/lib/ocaml/compiler-libs/topdirs.cmi",
        ],
        files={
            "x.ml": b"let rec f n = if n < 2 then n else f (n-1) + f (n-2);; print_int (f 20);;"
        },
        large=True,
    ),
    "node --jitless": Row(
        "nodejs",
        ["node", "--jitless", "-e", NODE],
        large=True,
    ),
    "octave": Row(
        "octave",
        ["octave-cli", "--norc", "--no-history", "--eval", "A=[1 2;3 4]; disp(inv(A)); disp(A*A)"],
        include=["/usr/share/octave/7.*", "/usr/lib/x86_64-linux-gnu/octave"],
        large=True,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_as_on_linux(name: str, tmp_path: Path) -> None:
    """The same output and status, natively and on each backend."""
    same_as_on_linux(ROWS[name], tmp_path)


SCRIPTS = {
    "perl": b"use strict; use List::Util qw(sum); use POSIX; print sum(@ARGV), floor(2), qq(\\n);",
    "ruby": b"require 'json'; require 'set'; puts JSON.generate(Set.new(ARGV).to_a)",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_by_its_name(name: str, backend: Backend, tmp_path: Path) -> None:
    """It is packed where it is, with the interpreter's own library."""
    script = tmp_path / "script"
    script.write_bytes(SCRIPTS[name])
    interpreter = shutil.which(name)
    if interpreter is None:
        pytest.skip(f"{name} is missing: apt-get install {name}")
    start = start_of(Path(name), None, [str(script), "4", "5"])
    options = limpet.Options(backends=(backend,))
    guest = limpet.load(start.program, files=start.files)
    limpet.build(limpet.plan(guest, options)).write(tmp_path / "bundle")
    ran = execute([*start.words, str(script), "4", "5"], tmp_path / "bundle")
    native = subprocess.run([interpreter, script, "4", "5"], capture_output=True, check=True)
    assert (ran.stdout, ran.status) == (native.stdout, 0), ran.stderr
