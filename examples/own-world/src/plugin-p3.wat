;; Puts down the time of day, and returns its seconds.
(component
  (import "wasi:clocks/system-clock@0.3.0" (instance $clock
    (type $record (record (field "seconds" s64) (field "nanoseconds" u32)))
    (export "instant" (type $instant (eq $record)))
    (export "now" (func (result $instant)))))
  (alias export $clock "instant" (type $instant))
  (import "example:stamps/stamps@1.0.0" (instance $stamps
    (alias outer 1 $instant (type $outer-instant))
    (export "instant" (type $i (eq $outer-instant)))
    (export "put" (func (param "at" $i)))))

  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $now (canon lower (func $clock "now") (memory $mem)))
  (core func $put (canon lower (func $stamps "put")))

  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "now" (func $now (param i32)))
    (import "host" "put" (func $put (param i64 i32)))
    (func (export "report") (result i64)
      (call $now (i32.const 0))
      (call $put (i64.load (i32.const 0)) (i32.load (i32.const 8)))
      (i64.load (i32.const 0))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $mem))
    (export "now" (func $now))
    (export "put" (func $put))))))
  (func (export "report") (result s64) (canon lift (core func $main "report"))))
