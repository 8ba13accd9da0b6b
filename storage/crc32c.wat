;; CRC-32C (Castagnoli, reflected polynomial P = 0x82F63B78) over bytes in linear memory, in two ways.
;;
;; "Slicing by 16": sixteen tables of 256 words each let one round take in sixteen bytes with sixteen
;; independent loads, instead of sixteen rounds that each wait for the one before.
;;
;; A long input is folded first, by xor alone (compare S. Russell, "Chorba", arXiv 2412.16398). Its
;; checksum is its remainder modulo P, and a multiple of P may be added anywhere without changing that. So
;; the first block of sixteen bytes is cleared by adding a multiple that begins there, then the next, until
;; only the last 65 blocks are left for the tables. Where y is x^128, the step from one block to the next,
;; this multiple is
;;
;;   M(y) = y^65 + y^64 + y^45 + y^37 + y^35 + y^34 + y^24 + y^2 + y + 1
;;
;; M(x) is a multiple of P; and squaring is linear over GF(2), so that M(x^128) = M(x)^128, one as well.
;; As its terms are whole blocks apart, adding it takes no shift and no multiplication: 128 shift registers
;; stand side by side, one for each bit of a block. Searched for among the multiples with few terms: M is
;; short, and its terms are close together, so that five loads a block do, as what the others would load
;; is at hand from the blocks before. (Streams of tables side by side were no faster than one: the number
;; of lookups is the limit, not the wait for them.)
;;
;; 128-bit vectors need an x86-64 processor with SSE 4.1 (2008), or any arm64.
;;
;; Memory: 0x0000..0x3fff the tables, made at start; 0x10000..0x1ffff the input, filled by the caller.
;; 0xfbf0..0xffff is written by a fold, which keeps each block's final sum 65 blocks ahead of the block;
;; 0xf7e0..0xfbef stays zero, the sums "before" the first.
;; Table n, byte b: the remainder of b followed by n zero bytes.
;; 1020 is 255 << 2: a byte of a word, taken out as the offset of its entry in a table.
;;
;; Regenerate crc32c_wasm.ts after a change: deno run -A --no-lock storage/crc32c_build.ts

(module
  (memory (export "memory") 2)

  (func $makeTables
    (local $byte i32) (local $bit i32) (local $crc i32) (local $at i32)
    ;; Table 0, bit by bit.
    (loop $bytes
      (local.set $crc (local.get $byte))
      (local.set $bit (i32.const 8))
      (loop $bits
        (local.set $crc
          (i32.xor
            (i32.shr_u (local.get $crc) (i32.const 1))
            (i32.and
              (i32.const 0x82f63b78)
              (i32.sub (i32.const 0) (i32.and (local.get $crc) (i32.const 1))))))
        (br_if $bits (local.tee $bit (i32.sub (local.get $bit) (i32.const 1)))))
      (i32.store (i32.shl (local.get $byte) (i32.const 2)) (local.get $crc))
      (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
      (br_if $bytes (i32.lt_u (local.get $byte) (i32.const 256))))
    ;; Each further table from the one 1,024 bytes before it: one more zero byte.
    (loop $words
      (local.set $crc (i32.load (local.get $at)))
      (i32.store offset=1024 (local.get $at)
        (i32.xor
          (i32.shr_u (local.get $crc) (i32.const 8))
          (i32.load (i32.shl (i32.and (local.get $crc) (i32.const 255)) (i32.const 2)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $words (i32.lt_u (local.get $at) (i32.const 15360)))))

  (start $makeTables)

  ;; The checksum of `length` bytes at `at`, going on from `crc`, the checksum of what came before.
  (func $crc32c (export "crc32c") (param $crc i32) (param $at i32) (param $length i32) (result i32)
    (local $end i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local.set $crc (i32.xor (local.get $crc) (i32.const -1)))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $length) (i32.const -16))))
    (block $done
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (loop $sixteen
        (local.set $a (i32.xor (i32.load (local.get $at)) (local.get $crc)))
        (local.set $b (i32.load offset=4 (local.get $at)))
        (local.set $c (i32.load offset=8 (local.get $at)))
        (local.set $d (i32.load offset=12 (local.get $at)))
        (local.set $crc
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=15360 (i32.shl (i32.and (local.get $a) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=14336 (i32.and (i32.shr_u (local.get $a) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=13312 (i32.and (i32.shr_u (local.get $a) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=12288 (i32.and (i32.shr_u (local.get $a) (i32.const 22)) (i32.const 1020)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=11264 (i32.shl (i32.and (local.get $b) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=10240 (i32.and (i32.shr_u (local.get $b) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=9216 (i32.and (i32.shr_u (local.get $b) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=8192 (i32.and (i32.shr_u (local.get $b) (i32.const 22)) (i32.const 1020))))))
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=7168 (i32.shl (i32.and (local.get $c) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=6144 (i32.and (i32.shr_u (local.get $c) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=5120 (i32.and (i32.shr_u (local.get $c) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=4096 (i32.and (i32.shr_u (local.get $c) (i32.const 22)) (i32.const 1020)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=3072 (i32.shl (i32.and (local.get $d) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=2048 (i32.and (i32.shr_u (local.get $d) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=1024 (i32.and (i32.shr_u (local.get $d) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=0 (i32.and (i32.shr_u (local.get $d) (i32.const 22)) (i32.const 1020))))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $sixteen (i32.ne (local.get $at) (local.get $end)))))
    (local.set $end (i32.add (local.get $end) (i32.and (local.get $length) (i32.const 15))))
    (block $done
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (loop $one
        (local.set $crc
          (i32.xor
            (i32.shr_u (local.get $crc) (i32.const 8))
            (i32.load
              (i32.shl
                (i32.and (i32.xor (local.get $crc) (i32.load8_u (local.get $at))) (i32.const 255))
                (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $one (i32.ne (local.get $at) (local.get $end)))))
    (i32.xor (local.get $crc) (i32.const -1)))

  ;; The same for 1,056 bytes or more, by folding, in the input's place.
  ;;
  ;; While a block is at `$at` + 2080, M's lowest term stands for the sum at `$at`, its y^n for the one n
  ;; blocks on, and y^65 for the block itself. The `$yn` were loaded rounds ago; they all begin as zero.
  (func (export "crc32cFolded") (param $crc i32) (param $at i32) (param $length i32) (result i32)
    (local $end i32) (local $sum v128)
    (local $y37 v128) (local $y36 v128) (local $y35 v128) (local $y34 v128)
    (local $y2 v128) (local $y1 v128) (local $y0 v128)
    ;; What came before counts as if it were added to the first bytes.
    (i32.store (local.get $at)
      (i32.xor (i32.load (local.get $at)) (i32.xor (local.get $crc) (i32.const -1))))
    (local.set $at (i32.sub (local.get $at) (i32.const 2080)))
    (local.set $end
      (i32.add (local.get $at) (i32.sub (i32.and (local.get $length) (i32.const -16)) (i32.const 1040))))
    (loop $block
      (local.set $y37 (v128.load offset=592 (local.get $at)))
      (local.set $y2 (v128.load offset=32 (local.get $at)))
      ;; y^64, the sum of the round before, comes in last, as it is what a round waits for.
      (local.set $sum
        (v128.xor
          (v128.xor
            (v128.xor
              (v128.xor (v128.load offset=2080 (local.get $at)) (v128.load offset=720 (local.get $at)))
              (v128.xor (v128.load offset=384 (local.get $at)) (local.get $y37)))
            (v128.xor
              (v128.xor (local.get $y35) (local.get $y34))
              (v128.xor (local.get $y2) (v128.xor (local.get $y1) (local.get $y0)))))
          (local.get $sum)))
      (v128.store offset=1040 (local.get $at) (local.get $sum))
      (local.set $y34 (local.get $y35))
      (local.set $y35 (local.get $y36))
      (local.set $y36 (local.get $y37))
      (local.set $y0 (local.get $y1))
      (local.set $y1 (local.get $y2))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $block (i32.ne (local.get $at) (local.get $end))))
    ;; The last 65 blocks are not cleared: they take in the sums before them, and count as zero themselves.
    (local.set $end (i32.add (local.get $at) (i32.const 1040)))
    (loop $block
      (v128.store offset=2080 (local.get $at)
        (v128.xor
          (v128.xor
            (v128.xor (v128.load offset=2080 (local.get $at)) (v128.load offset=1024 (local.get $at)))
            (v128.xor (v128.load offset=720 (local.get $at)) (v128.load offset=592 (local.get $at))))
          (v128.xor
            (v128.xor
              (v128.xor (v128.load offset=560 (local.get $at)) (v128.load offset=544 (local.get $at)))
              (v128.xor (v128.load offset=384 (local.get $at)) (v128.load offset=32 (local.get $at))))
            (v128.xor (v128.load offset=16 (local.get $at)) (v128.load (local.get $at))))))
      (v128.store offset=1040 (local.get $at) (v128.const i64x2 0 0))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $block (i32.ne (local.get $at) (local.get $end))))
    (call $crc32c
      (i32.const -1)
      (i32.add (local.get $at) (i32.const 1040))
      (i32.add (i32.const 1040) (i32.and (local.get $length) (i32.const 15))))))
