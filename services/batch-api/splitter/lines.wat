;; Finds the end of the n-th line that is not blank, 64 bytes at a time. Assembled into lines.wasm.ts; a test compares.
;;
;; Of each block two bit sets are made: `nl`, its line feeds, and `solid`, its bytes that are no JSON white space. Adding
;; `solid` to `gaps` (all that is no line feed) carries out of a line into its line feed exactly when the line holds a
;; solid byte; the carry that leaves the block is the unfinished line's, and enters the next block as `seen`.
(module
  (import "m" "memory" (memory 1))
  ;; Scans [at, to) for the end of the wanted-th line (wanted > 0); answers the address after its line feed, or `to`.
  ;; Reads, and ignores, up to 63 bytes beyond `to`.
  ;; In memory, u32 at 0 (in and out): 1, the line in progress holds a solid byte. At 4 (out): lines not found.
  (func (export "cut") (param $at i32) (param $to i32) (param $wanted i32) (result i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $na v128) (local $nb v128) (local $nc v128) (local $nd v128)
    (local $nl i64) (local $solid i64) (local $gaps i64) (local $sum i64) (local $ends i64) (local $valid i64)
    (local $count i32) (local $rest i32) (local $seen i32)
    (local.set $seen (i32.load (i32.const 0)))
    (block $out
      (loop $next
        (br_if $out (i32.ge_u (local.get $at) (local.get $to)))
        (local.set $a (v128.load align=1 (local.get $at)))
        (local.set $b (v128.load offset=16 align=1 (local.get $at)))
        (local.set $c (v128.load offset=32 align=1 (local.get $at)))
        (local.set $d (v128.load offset=48 align=1 (local.get $at)))
        (local.set $na (i8x16.eq (local.get $a) (v128.const i8x16 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10)))
        (local.set $nb (i8x16.eq (local.get $b) (v128.const i8x16 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10)))
        (local.set $nc (i8x16.eq (local.get $c) (v128.const i8x16 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10)))
        (local.set $nd (i8x16.eq (local.get $d) (v128.const i8x16 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10)))
        (local.set $rest (i32.sub (local.get $to) (local.get $at)))
        ;; Most blocks: inside a line that is known to be solid, without a line feed.
        (if (i32.and (i32.and (local.get $seen) (i32.ge_u (local.get $rest) (i32.const 64)))
              (i32.eqz (v128.any_true
                (v128.or (v128.or (local.get $na) (local.get $nb)) (v128.or (local.get $nc) (local.get $nd))))))
          (then (local.set $at (i32.add (local.get $at) (i32.const 64))) (br $next)))
        (local.set $nl (call $bits (local.get $na) (local.get $nb) (local.get $nc) (local.get $nd)))
        (local.set $solid (i64.xor (i64.const -1)
          (call $bits (call $blank (local.get $a) (local.get $na)) (call $blank (local.get $b) (local.get $nb))
                      (call $blank (local.get $c) (local.get $nc)) (call $blank (local.get $d) (local.get $nd)))))
        (local.set $valid (i64.const -1))
        (if (i32.lt_u (local.get $rest) (i32.const 64))
          (then
            (local.set $valid
              (i64.sub (i64.shl (i64.const 1) (i64.extend_i32_u (local.get $rest))) (i64.const 1)))
            (local.set $nl (i64.and (local.get $nl) (local.get $valid)))
            (local.set $solid (i64.and (local.get $solid) (local.get $valid)))))
        (local.set $gaps (i64.and (i64.xor (local.get $nl) (i64.const -1)) (local.get $valid)))
        (local.set $sum
          (i64.add (i64.add (local.get $gaps) (local.get $solid)) (i64.extend_i32_u (local.get $seen))))
        (local.set $ends (i64.and (local.get $sum) (local.get $nl)))
        (local.set $count (i32.wrap_i64 (i64.popcnt (local.get $ends))))
        (if (i32.ge_u (local.get $count) (local.get $wanted))
          (then
            (loop $drop
              (local.set $wanted (i32.sub (local.get $wanted) (i32.const 1)))
              (if (local.get $wanted)
                (then
                  (local.set $ends (i64.and (local.get $ends) (i64.sub (local.get $ends) (i64.const 1))))
                  (br $drop))))
            (local.set $at
              (i32.add (i32.add (local.get $at) (i32.const 1)) (i32.wrap_i64 (i64.ctz (local.get $ends)))))
            (local.set $seen (i32.const 0))
            (br $out)))
        (local.set $wanted (i32.sub (local.get $wanted) (local.get $count)))
        (if (i32.lt_u (local.get $rest) (i32.const 64))
          (then
            (local.set $seen (i32.and (i32.const 1)
              (i32.wrap_i64 (i64.shr_u (local.get $sum) (i64.extend_i32_u (local.get $rest))))))
            (local.set $at (local.get $to)))
          (else
            (local.set $seen (i32.wrap_i64 (i64.shr_u
              (i64.or (local.get $solid)
                (i64.and (local.get $gaps) (i64.xor (local.get $sum) (i64.const -1))))
              (i64.const 63))))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))))
        (br $next)))
    (i32.store (i32.const 0) (local.get $seen))
    (i32.store (i32.const 4) (local.get $wanted))
    (local.get $at))
  ;; Line feeds are known; blank, carriage return and tab are the others.
  (func $blank (param $v v128) (param $nl v128) (result v128)
    (v128.or
      (v128.or (local.get $nl)
        (i8x16.eq (local.get $v) (v128.const i8x16 32 32 32 32 32 32 32 32 32 32 32 32 32 32 32 32)))
      (v128.or
        (i8x16.eq (local.get $v) (v128.const i8x16 13 13 13 13 13 13 13 13 13 13 13 13 13 13 13 13))
        (i8x16.eq (local.get $v) (v128.const i8x16 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9)))))
  (func $bits (param $a v128) (param $b v128) (param $c v128) (param $d v128) (result i64)
    (i64.or
      (i64.or (i64.extend_i32_u (i8x16.bitmask (local.get $a)))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $b))) (i64.const 16)))
      (i64.or (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $c))) (i64.const 32))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $d))) (i64.const 48))))))
