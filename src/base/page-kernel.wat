;; What is done to every byte of a page, over the client's arena (one linear memory).
;; A page is 4096 bytes; addresses are byte offsets into the memory. Lengths are multiples of 32
;; where it says so. Compiled by scripts/build-wasm.mjs.
(module
  (import "arena" "memory" (memory 1 65536))
  ;; Where the checksum has the secret of the seed at hand: 192 bytes.
  (import "arena" "secret" (global $secret i32))

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

  (func $scramble (param $acc v128) (param $key v128) (result v128)
    (i64x2.mul
      (v128.xor (local.get $key) (v128.xor (local.get $acc) (i64x2.shr_u (local.get $acc) (i32.const 47))))
      (i64x2.splat (i64.const 0x9E3779B1))))

  ;; The halves of the 128-bit product of two words, XORed.
  (func $fold (param $pair v128) (result i64)
    (local $x i64) (local $y i64) (local $xHigh i64) (local $yHigh i64)
    (local $lows i64) (local $cross i64) (local $cross2 i64)
    (local.set $x (i64x2.extract_lane 0 (local.get $pair)))
    (local.set $y (i64x2.extract_lane 1 (local.get $pair)))
    (local.set $xHigh (i64.shr_u (local.get $x) (i64.const 32)))
    (local.set $yHigh (i64.shr_u (local.get $y) (i64.const 32)))
    (local.set $lows (i64.mul
      (i64.and (local.get $x) (i64.const 0xFFFFFFFF)) (i64.and (local.get $y) (i64.const 0xFFFFFFFF))))
    (local.set $cross (i64.add
      (i64.mul (local.get $xHigh) (i64.and (local.get $y) (i64.const 0xFFFFFFFF)))
      (i64.shr_u (local.get $lows) (i64.const 32))))
    (local.set $cross2 (i64.add
      (i64.mul (i64.and (local.get $x) (i64.const 0xFFFFFFFF)) (local.get $yHigh))
      (i64.and (local.get $cross) (i64.const 0xFFFFFFFF))))
    (i64.xor
      (i64.mul (local.get $x) (local.get $y))
      (i64.add
        (i64.mul (local.get $xHigh) (local.get $yHigh))
        (i64.add
          (i64.shr_u (local.get $cross) (i64.const 32))
          (i64.shr_u (local.get $cross2) (i64.const 32))))))

  ;; The secret of a seed: XXH3's 192 bytes as words, the seed added to the even ones and taken from the odd ones.
  (func $takeSeed (param $seed i64)
    (local $v v128)
    (local.set $v (i64x2.replace_lane 1 (i64x2.splat (local.get $seed)) (i64.sub (i64.const 0) (local.get $seed))))
    (v128.store (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0xBE4BA423396CFEB8 0x1CAD21F72C81017C)))
    (v128.store offset=16 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0xDB979083E96DD4DE 0x1F67B3B7A4A44072)))
    (v128.store offset=32 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x78E5C0CC4EE679CB 0x2172FFCC7DD05A82)))
    (v128.store offset=48 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x8E2443F7744608B8 0x4C263A81E69035E0)))
    (v128.store offset=64 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0xCB00C391BB52283C 0xA32E531B8B65D088)))
    (v128.store offset=80 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x4EF90DA297486471 0xD8ACDEA946EF1938)))
    (v128.store offset=96 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x3F349CE33F76FAA8 0x1D4F0BC7C7BBDCF9)))
    (v128.store offset=112 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x3159B4CD4BE0518A 0x647378D9C97E9FC8)))
    (v128.store offset=128 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0xC3EBD33483ACC5EA 0xEB6313FAFFA081C5)))
    (v128.store offset=144 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x49DAF0B751DD0D17 0x9E68D429265516D3)))
    (v128.store offset=160 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0xFCA1477D58BE162B 0xCE31D07AD1B8F88F)))
    (v128.store offset=176 (global.get $secret)
      (i64x2.add (local.get $v) (v128.const i64x2 0x280416958F3ACB45 0x7E404BBBCAFBD7AF))))

  ;; XXH3 (64 bits) of the region (bytes: a multiple of 1024) with a 64-bit seed, its halves XORed to 32 bits.
  ;; Stripes of 64 bytes, sixteen to a block of 1024: each has the secret's bytes from 8 further on, and the very last
  ;; those from 1 further on than that; between blocks the accumulators are scrambled.
  (func (export "checksum") (param $ptr i32) (param $bytes i32) (param $seedLow i32) (param $seedHigh i32) (result i32)
    (local $last i32) (local $blockEnd i32) (local $key i32) (local $hash i64)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $v v128) (local $w v128) (local $low v128) (local $high v128)
    (call $takeSeed (i64.or
      (i64.extend_i32_u (local.get $seedLow))
      (i64.shl (i64.extend_i32_u (local.get $seedHigh)) (i64.const 32))))
    (local.set $a (v128.const i64x2 0xC2B2AE3D 0x9E3779B185EBCA87))
    (local.set $b (v128.const i64x2 0xC2B2AE3D27D4EB4F 0x165667B19E3779F9))
    (local.set $c (v128.const i64x2 0x85EBCA77C2B2AE63 0x85EBCA77))
    (local.set $d (v128.const i64x2 0x27D4EB2F165667C5 0x9E3779B1))
    (local.set $last (i32.sub (i32.add (local.get $ptr) (local.get $bytes)) (i32.const 64)))
    (block $done (loop $block
      (local.set $key (global.get $secret))
      (local.set $blockEnd (i32.add (local.get $ptr) (i32.const 1024)))
      (loop $stripe
        (local.set $key (i32.add (local.get $key) (i32.eq (local.get $ptr) (local.get $last))))
        (local.set $v (v128.load (local.get $ptr)))
        (local.set $w (v128.load offset=16 (local.get $ptr)))
        (local.set $a (i64x2.add (local.get $a)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
        (local.set $b (i64x2.add (local.get $b)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $w) (local.get $w))))
        (local.set $v (v128.xor (local.get $v) (v128.load (local.get $key))))
        (local.set $w (v128.xor (local.get $w) (v128.load offset=16 (local.get $key))))
        (local.set $low (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $v) (local.get $w)))
        (local.set $high (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $v) (local.get $w)))
        (local.set $a (i64x2.add (local.get $a) (i64x2.extmul_low_i32x4_u (local.get $low) (local.get $high))))
        (local.set $b (i64x2.add (local.get $b) (i64x2.extmul_high_i32x4_u (local.get $low) (local.get $high))))
        (local.set $v (v128.load offset=32 (local.get $ptr)))
        (local.set $w (v128.load offset=48 (local.get $ptr)))
        (local.set $c (i64x2.add (local.get $c)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
        (local.set $d (i64x2.add (local.get $d)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $w) (local.get $w))))
        (local.set $v (v128.xor (local.get $v) (v128.load offset=32 (local.get $key))))
        (local.set $w (v128.xor (local.get $w) (v128.load offset=48 (local.get $key))))
        (local.set $low (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $v) (local.get $w)))
        (local.set $high (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $v) (local.get $w)))
        (local.set $c (i64x2.add (local.get $c) (i64x2.extmul_low_i32x4_u (local.get $low) (local.get $high))))
        (local.set $d (i64x2.add (local.get $d) (i64x2.extmul_high_i32x4_u (local.get $low) (local.get $high))))
        (local.set $key (i32.add (local.get $key) (i32.const 8)))
        (local.set $ptr (i32.add (local.get $ptr) (i32.const 64)))
        (br_if $stripe (i32.lt_u (local.get $ptr) (local.get $blockEnd))))
      (br_if $done (i32.gt_u (local.get $ptr) (local.get $last)))
      (local.set $a (call $scramble (local.get $a) (v128.load offset=128 (global.get $secret))))
      (local.set $b (call $scramble (local.get $b) (v128.load offset=144 (global.get $secret))))
      (local.set $c (call $scramble (local.get $c) (v128.load offset=160 (global.get $secret))))
      (local.set $d (call $scramble (local.get $d) (v128.load offset=176 (global.get $secret))))
      (br $block)))
    (local.set $hash (i64.mul (i64.extend_i32_u (local.get $bytes)) (i64.const 0x9E3779B185EBCA87)))
    (local.set $hash (i64.add (local.get $hash) (call $fold
      (v128.xor (local.get $a) (v128.load offset=11 (global.get $secret))))))
    (local.set $hash (i64.add (local.get $hash) (call $fold
      (v128.xor (local.get $b) (v128.load offset=27 (global.get $secret))))))
    (local.set $hash (i64.add (local.get $hash) (call $fold
      (v128.xor (local.get $c) (v128.load offset=43 (global.get $secret))))))
    (local.set $hash (i64.add (local.get $hash) (call $fold
      (v128.xor (local.get $d) (v128.load offset=59 (global.get $secret))))))
    (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 37))))
    (local.set $hash (i64.mul (local.get $hash) (i64.const 0x165667919E3779F9)))
    (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32))))
    (i32.wrap_i64 (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32)))))
)
