;; Logs "tick" and returns what the monotonic clock says.
(component
  (import "wasi:io/error@0.2.12" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/streams@0.2.12" (instance $streams
    (alias outer 1 $io-error (type $outer-error))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "error" (type $e (eq $outer-error)))
    (type $variant (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $variant)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream))
      (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "example:logger/log@1.0.0" (instance $log
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $s (eq $outer-stream)))
    (export "open" (func (param "name" string) (result (own $s))))))
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
    (type $u u64)
    (export "instant" (type $instant (eq $u)))
    (export "now" (func (result $instant)))))

  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $open (canon lower (func $log "open") (memory $mem)))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core func $now (canon lower (func $clock "now")))

  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32) (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "now" (func $now (result i64)))
    (data (i32.const 0) "tick\n")
    (func (export "report") (result i64)
      (call $write (call $open (i32.const 0) (i32.const 4)) (i32.const 0) (i32.const 5) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (call $now)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $mem))
    (export "open" (func $open))
    (export "write" (func $write))
    (export "now" (func $now))))))
  (func (export "report") (result u64) (canon lift (core func $main "report"))))
