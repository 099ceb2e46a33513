;; What is done to every byte of a page, over the client's arena (one linear memory).
;; A page is 4096 bytes; addresses are byte offsets into the memory. Lengths are multiples of 32
;; where it says so. Compiled by scripts/build-wasm.mjs.
(module
  (import "arena" "memory" (memory 1 65536))

  ;; dst and src may overlap.
  (func (export "copy") (param $dst i32) (param $src i32) (param $bytes i32)
    (memory.copy (local.get $dst) (local.get $src) (local.get $bytes)))

  (func (export "fill") (param $dst i32) (param $value i32) (param $bytes i32)
    (memory.fill (local.get $dst) (local.get $value) (local.get $bytes)))

  ;; Fills with a 64-bit pattern; bytes is a multiple of 32.
  (func (export "fillPattern") (param $dst i32) (param $low i32) (param $high i32) (param $bytes i32)
    (local $end i32) (local $v v128)
    (local.set $v (i64x2.splat (i64.or
      (i64.extend_i32_u (local.get $low))
      (i64.shl (i64.extend_i32_u (local.get $high)) (i64.const 32)))))
    (local.set $end (i32.add (local.get $dst) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $dst) (local.get $end)))
        (v128.store (local.get $dst) (local.get $v))
        (v128.store offset=16 (local.get $dst) (local.get $v))
        (local.set $dst (i32.add (local.get $dst) (i32.const 32)))
        (br $next))))

  ;; dst ^= src; bytes is a multiple of 32.
  (func (export "xor") (param $dst i32) (param $src i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $dst) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $dst) (local.get $end)))
        (v128.store (local.get $dst)
          (v128.xor (v128.load (local.get $dst)) (v128.load (local.get $src))))
        (v128.store offset=16 (local.get $dst)
          (v128.xor (v128.load offset=16 (local.get $dst)) (v128.load offset=16 (local.get $src))))
        (local.set $dst (i32.add (local.get $dst) (i32.const 32)))
        (local.set $src (i32.add (local.get $src) (i32.const 32)))
        (br $next))))

  ;; 1 if all 64-bit words of the region are equal; bytes is a multiple of 32.
  (func (export "isUniform") (param $ptr i32) (param $bytes i32) (result i32)
    (local $end i32) (local $first i64) (local $v v128)
    (local.set $first (i64.load (local.get $ptr)))
    ;; Most pages differ in their first words: leave before the vector loop.
    (if (i64.ne (local.get $first) (i64.load offset=8 (local.get $ptr))) (then (return (i32.const 0))))
    (local.set $v (i64x2.splat (local.get $first)))
    (local.set $end (i32.add (local.get $ptr) (local.get $bytes)))
    (loop $next
      (if (v128.any_true (v128.or
            (v128.xor (v128.load (local.get $ptr)) (local.get $v))
            (v128.xor (v128.load offset=16 (local.get $ptr)) (local.get $v))))
        (then (return (i32.const 0))))
      (local.set $ptr (i32.add (local.get $ptr) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $ptr) (local.get $end))))
    (i32.const 1))

  (func $round (param $acc i64) (param $lane i64) (result i64)
    (i64.mul
      (i64.rotl
        (i64.add (local.get $acc) (i64.mul (local.get $lane) (i64.const 0xC2B2AE3D27D4EB4F)))
        (i64.const 31))
      (i64.const 0x9E3779B185EBCA87)))

  (func $merge (param $h i64) (param $v i64) (result i64)
    (i64.add
      (i64.mul
        (i64.xor (local.get $h) (call $round (i64.const 0) (local.get $v)))
        (i64.const 0x9E3779B185EBCA87))
      (i64.const 0x85EBCA77C2B2AE63)))

  ;; XXH64 of the region (bytes: a multiple of 32, at least 32) with a 64-bit seed, its halves XORed to 32 bits.
  (func (export "checksum") (param $ptr i32) (param $bytes i32) (param $seedLow i32) (param $seedHigh i32) (result i32)
    (local $end i32) (local $seed i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $h i64)
    (local.set $seed (i64.or
      (i64.extend_i32_u (local.get $seedLow))
      (i64.shl (i64.extend_i32_u (local.get $seedHigh)) (i64.const 32))))
    (local.set $a (i64.add (local.get $seed) (i64.const 0x60EA27EEADC0B5D6)))
    (local.set $b (i64.add (local.get $seed) (i64.const 0xC2B2AE3D27D4EB4F)))
    (local.set $c (local.get $seed))
    (local.set $d (i64.sub (local.get $seed) (i64.const 0x9E3779B185EBCA87)))
    (local.set $end (i32.add (local.get $ptr) (local.get $bytes)))
    ;; The rounds are written out: the engine does not inline calls here (0.9 us a page instead of 0.2).
    (loop $next
      (local.set $a (i64.mul (i64.rotl (i64.add (local.get $a)
        (i64.mul (i64.load (local.get $ptr)) (i64.const 0xC2B2AE3D27D4EB4F))) (i64.const 31))
        (i64.const 0x9E3779B185EBCA87)))
      (local.set $b (i64.mul (i64.rotl (i64.add (local.get $b)
        (i64.mul (i64.load offset=8 (local.get $ptr)) (i64.const 0xC2B2AE3D27D4EB4F))) (i64.const 31))
        (i64.const 0x9E3779B185EBCA87)))
      (local.set $c (i64.mul (i64.rotl (i64.add (local.get $c)
        (i64.mul (i64.load offset=16 (local.get $ptr)) (i64.const 0xC2B2AE3D27D4EB4F))) (i64.const 31))
        (i64.const 0x9E3779B185EBCA87)))
      (local.set $d (i64.mul (i64.rotl (i64.add (local.get $d)
        (i64.mul (i64.load offset=24 (local.get $ptr)) (i64.const 0xC2B2AE3D27D4EB4F))) (i64.const 31))
        (i64.const 0x9E3779B185EBCA87)))
      (local.set $ptr (i32.add (local.get $ptr) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $ptr) (local.get $end))))
    (local.set $h (i64.add
      (i64.add (i64.rotl (local.get $a) (i64.const 1)) (i64.rotl (local.get $b) (i64.const 7)))
      (i64.add (i64.rotl (local.get $c) (i64.const 12)) (i64.rotl (local.get $d) (i64.const 18)))))
    (local.set $h (call $merge (local.get $h) (local.get $a)))
    (local.set $h (call $merge (local.get $h) (local.get $b)))
    (local.set $h (call $merge (local.get $h) (local.get $c)))
    (local.set $h (call $merge (local.get $h) (local.get $d)))
    (local.set $h (i64.add (local.get $h) (i64.extend_i32_u (local.get $bytes))))
    (local.set $h (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 33))))
    (local.set $h (i64.mul (local.get $h) (i64.const 0xC2B2AE3D27D4EB4F)))
    (local.set $h (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 29))))
    (local.set $h (i64.mul (local.get $h) (i64.const 0x165667B19E3779F9)))
    (local.set $h (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 32))))
    (i32.wrap_i64 (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 32)))))
)
