;; Answers every request with "hello world" on WASI 0.3, on no library at all: what a served
;; request costs when the guest costs nothing.
(component
  (import "wasi:http/types@0.3.0" (instance $types
    (type $dns-def (record
      (field "rcode" (option string))
      (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns-def)))
    (type $alert-def (record
      (field "alert-id" (option u8))
      (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $alert (eq $alert-def)))
    (type $size-def (record
      (field "field-name" (option string))
      (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size-def)))
    (type $error-code-def (variant
      (case "DNS-timeout")
      (case "DNS-error" $dns)
      (case "destination-not-found")
      (case "destination-unavailable")
      (case "destination-IP-prohibited")
      (case "destination-IP-unroutable")
      (case "connection-refused")
      (case "connection-terminated")
      (case "connection-timeout")
      (case "connection-read-timeout")
      (case "connection-write-timeout")
      (case "connection-limit-reached")
      (case "TLS-protocol-error")
      (case "TLS-certificate-error")
      (case "TLS-alert-received" $alert)
      (case "HTTP-request-denied")
      (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid")
      (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32))
      (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32))
      (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete")
      (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size)
      (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32))
      (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed")
      (case "HTTP-protocol-error")
      (case "loop-detected")
      (case "configuration-error")
      (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code-def)))

    (export "fields" (type $fields (sub resource)))
    (export "request" (type (sub resource)))
    (export "response" (type $response (sub resource)))

    (type $body-def (stream u8))
    (type $trailers-def (future (result (option (own $fields)) (error $error-code))))
    (type $sent-def (future (result (error $error-code))))

    (export "[constructor]fields" (func (result (own $fields))))
    (export "[static]response.new" (func
      (param "headers" (own $fields))
      (param "contents" (option $body-def))
      (param "trailers" $trailers-def)
      (result (tuple (own $response) $sent-def))))))
  (alias export $types "error-code" (type $error-code))
  (alias export $types "fields" (type $fields))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))

  (type $body (stream u8))
  (type $trailers (future (result (option (own $fields)) (error $error-code))))
  (type $sent (future (result (error $error-code))))
  (type $answer (result (own $response) (error $error-code)))

  ;; The memory comes first, so that the imports can be lowered into it.
  (core module $memory-module
    (memory (export "memory") 1)
    (data (i32.const 0) "hello world\n"))
  (core instance $memory (instantiate $memory-module))
  (alias core export $memory "memory" (core memory $mem))

  (core func $new-fields (canon lower (func $types "[constructor]fields")))
  (core func $new-response (canon lower (func $types "[static]response.new") (memory $mem)))
  (core func $drop-request (canon resource.drop $request))
  (core func $new-body (canon stream.new $body))
  (core func $write-body (canon stream.write $body async (memory $mem)))
  (core func $drop-body (canon stream.drop-writable $body))
  (core func $new-trailers (canon future.new $trailers))
  (core func $write-trailers (canon future.write $trailers async
    (memory $mem) string-encoding=utf8))
  (core func $drop-trailers (canon future.drop-writable $trailers))
  (core func $drop-sent (canon future.drop-readable $sent))
  (core func $answer (canon task.return (result $answer) (memory $mem) string-encoding=utf8))
  (core func $new-set (canon waitable-set.new))
  (core func $drop-set (canon waitable-set.drop))
  (core func $join (canon waitable.join))
  (core func $set (canon context.get i32 0))
  (core func $keep-set (canon context.set i32 0))

  (core module $main-module
    (import "host" "new-fields" (func $new-fields (result i32)))
    ;; headers, the body if any, trailers; the result's address.
    (import "host" "new-response" (func $new-response (param i32 i32 i32 i32 i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    ;; The readable end is in the lower half, the writable one in the upper.
    (import "host" "new-body" (func $new-body (result i64)))
    (import "host" "write-body" (func $write-body (param i32 i32 i32) (result i32)))
    (import "host" "drop-body" (func $drop-body (param i32)))
    (import "host" "new-trailers" (func $new-trailers (result i64)))
    (import "host" "write-trailers" (func $write-trailers (param i32 i32) (result i32)))
    (import "host" "drop-trailers" (func $drop-trailers (param i32)))
    (import "host" "drop-sent" (func $drop-sent (param i32)))
    ;; The result, then the error-code's joined fields.
    (import "host" "answer" (func $answer (param i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "new-set" (func $new-set (result i32)))
    (import "host" "drop-set" (func $drop-set (param i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "set" (func $set (result i32)))
    (import "host" "keep-set" (func $keep-set (param i32)))
    (import "memory" "memory" (memory 1))

    (func $upper (param $ends i64) (result i32)
      (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))

    ;; The response comes to 64, and how it is sent to 68. At 128 is that there are no
    ;; trailers, all zeros. What a set waits for is counted at 256 plus four times its number;
    ;; numbers are used again, so that this has room for all requests at once.
    (func $count (param $set i32) (result i32)
      (i32.add (i32.const 256) (i32.shl (local.get $set) (i32.const 2))))

    (func (export "handle") (param $request i32) (result i32)
      (local $body i64) (local $trailers i64) (local $set i32) (local $waits i32)
      (call $drop-request (local.get $request))
      (local.set $body (call $new-body))
      (local.set $trailers (call $new-trailers))
      (call $new-response
        (call $new-fields)
        (i32.const 1) (i32.wrap_i64 (local.get $body))
        (i32.wrap_i64 (local.get $trailers))
        (i32.const 64))
      (call $drop-sent (i32.load (i32.const 68)))
      (call $answer
        (i32.const 0) (i32.load (i32.const 64))
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))

      (local.set $set (call $new-set))
      (if (i32.eq
          (call $write-body (call $upper (local.get $body)) (i32.const 0) (i32.const 12))
          (i32.const -1))
        (then
          (call $join (call $upper (local.get $body)) (local.get $set))
          (local.set $waits (i32.const 1)))
        (else (call $drop-body (call $upper (local.get $body)))))
      (if (i32.eq
          (call $write-trailers (call $upper (local.get $trailers)) (i32.const 128))
          (i32.const -1))
        (then
          (call $join (call $upper (local.get $trailers)) (local.get $set))
          (local.set $waits (i32.add (local.get $waits) (i32.const 1))))
        (else (call $drop-trailers (call $upper (local.get $trailers)))))
      (call $keep-set (local.get $set))
      (call $end-or-wait (local.get $set) (local.get $waits)))

    ;; 0 ends the task; 2 waits for the set in the other bits.
    (func $end-or-wait (param $set i32) (param $waits i32) (result i32)
      (if (result i32) (local.get $waits)
        (then
          (i32.store (call $count (local.get $set)) (local.get $waits))
          (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
        (else
          (call $drop-set (local.get $set))
          (i32.const 0))))

    ;; Whatever became of the write, it is over.
    (func (export "event") (param $event i32) (param $end i32) (param i32) (result i32)
      (local $set i32)
      (local.set $set (call $set))
      (if (i32.eq (local.get $event) (i32.const 3))
        (then (call $drop-body (local.get $end)))
        (else (call $drop-trailers (local.get $end))))
      (call $end-or-wait
        (local.get $set)
        (i32.sub (i32.load (call $count (local.get $set))) (i32.const 1)))))
  (core instance $main (instantiate $main-module
    (with "memory" (instance $memory))
    (with "host" (instance
      (export "new-fields" (func $new-fields))
      (export "new-response" (func $new-response))
      (export "drop-request" (func $drop-request))
      (export "new-body" (func $new-body))
      (export "write-body" (func $write-body))
      (export "drop-body" (func $drop-body))
      (export "new-trailers" (func $new-trailers))
      (export "write-trailers" (func $write-trailers))
      (export "drop-trailers" (func $drop-trailers))
      (export "drop-sent" (func $drop-sent))
      (export "answer" (func $answer))
      (export "new-set" (func $new-set))
      (export "drop-set" (func $drop-set))
      (export "join" (func $join))
      (export "set" (func $set))
      (export "keep-set" (func $keep-set))))))

  (func $handle async
    (param "request" (own $request))
    (result $answer)
    (canon lift (core func $main "handle")
      async (callback (core func $main "event")) (memory $mem) string-encoding=utf8))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/handler@0.3.0" (instance $handler)))
