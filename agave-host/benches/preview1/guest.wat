;; What the benchmark's guest does: an export for each row, which does its work as often as its
;; last parameter says and gives a sum of what came of it. Whatever fails traps.
(module
  (import "bench" "nothing" (func $nothing (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek"
    (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get"
    (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get"
    (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread"
    (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite"
    (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 2)

  ;; 0: results. 256: events.
  ;; 512: a buffer of 4 KiB at 8192, and the same in 8 pieces, which begin at 520.
  (data (i32.const 512) "\00\20\00\00\00\10\00\00")
  (data (i32.const 520) "\00\20\00\00\00\02\00\00\00\22\00\00\00\02\00\00")
  (data (i32.const 536) "\00\24\00\00\00\02\00\00\00\26\00\00\00\02\00\00")
  (data (i32.const 552) "\00\28\00\00\00\02\00\00\00\2a\00\00\00\02\00\00")
  (data (i32.const 568) "\00\2c\00\00\00\02\00\00\00\2e\00\00\00\02\00\00")
  ;; 584: a buffer of 1 byte at 8192.
  (data (i32.const 584) "\00\20\00\00\01\00\00\00")
  ;; 640: a subscription to the time 1 of the monotonic clock.
  (data (i32.const 640) "\2a\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
  (data (i32.const 664) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
  ;; 1024: paths. The file that is read and written; small ones, by 1 step and by 3; and the
  ;; directory that is listed.
  (data (i32.const 1024) "data")
  (data (i32.const 1032) "file")
  (data (i32.const 1040) "d/d/file")
  (data (i32.const 1048) "many")

  ;; The only directory that is granted.
  (global $root i32 (i32.const 3))

  ;; Opens the path at 1024 + $at, a file for reading and writing or a directory for listing.
  (func $open (param $at i32) (param $oflags i32) (param $rights i64) (result i32)
    (if (call $path_open (global.get $root) (i32.const 0)
          (i32.add (i32.const 1024) (local.get $at)) (i32.const 4)
          (local.get $oflags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 0))
      (then (unreachable)))
    (i32.load (i32.const 0)))

  ;; The file, with the rights fd_read, fd_seek, fd_tell, fd_write and fd_filestat_get.
  (func $data (result i32)
    (call $open (i32.const 0) (i32.const 0) (i64.const 0x200066)))

  (func $close (param $fd i32)
    (if (call $fd_close (local.get $fd)) (then (unreachable))))

  (func (export "nothing") (param $times i64) (result i64)
    (local $n i64)
    (loop $more
      (if (call $nothing) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n))

  ;; $id: of the clock.
  (func (export "clock_time_get") (param $id i64) (param $times i64) (result i64)
    (local $n i64)
    (loop $more
      (if (call $clock_time_get (i32.wrap_i64 (local.get $id)) (i64.const 0) (i32.const 0))
        (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n))

  ;; $len: at once.
  (func (export "random_get") (param $len i64) (param $times i64) (result i64)
    (local $n i64)
    (loop $more
      (if (call $random_get (i32.const 8192) (i32.wrap_i64 (local.get $len)))
        (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n))

  (func (export "fd_tell") (param $times i64) (result i64)
    (local $n i64) (local $fd i32)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_tell (local.get $fd) (i32.const 0)) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $n))

  (func (export "fd_seek") (param $times i64) (result i64)
    (local $n i64) (local $fd i32)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_seek (local.get $fd) (local.get $n) (i32.const 0) (i32.const 0))
        (then (unreachable)))
      (if (i64.ne (i64.load (i32.const 0)) (local.get $n)) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $n))

  (func (export "fd_fdstat_get") (param $times i64) (result i64)
    (local $n i64) (local $fd i32)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_fdstat_get (local.get $fd) (i32.const 0)) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $n))

  ;; Gives the sum of the sizes.
  (func (export "fd_filestat_get") (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_filestat_get (local.get $fd) (i32.const 0)) (then (unreachable)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (i32.const 32))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  ;; A byte to the standard output.
  (func (export "stdout") (param $times i64) (result i64)
    (local $n i64)
    (loop $more
      (if (call $fd_write (i32.const 1) (i32.const 584) (i32.const 1) (i32.const 0))
        (then (unreachable)))
      (if (i32.ne (i32.load (i32.const 0)) (i32.const 1)) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n))

  ;; 4 KiB after the other, by so many buffers. A host that moves less than was asked for is
  ;; asked again, from the next buffer on.
  (func (export "fd_read") (param $buffers i64) (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local $at i32) (local $end i32)
    (local.set $fd (call $data))
    (loop $more
      (local.set $at
        (select (i32.const 512) (i32.const 520) (i64.eq (local.get $buffers) (i64.const 1))))
      (local.set $end
        (i32.add (local.get $at) (i32.shl (i32.wrap_i64 (local.get $buffers)) (i32.const 3))))
      (loop $again
        (if (call $fd_read (local.get $fd) (local.get $at)
              (i32.shr_u (i32.sub (local.get $end) (local.get $at)) (i32.const 3))
              (i32.const 0))
          (then (unreachable)))
        (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 0))))
        (local.set $at (call $next (local.get $at)))
        (br_if $again (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  (func (export "fd_write") (param $buffers i64) (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local $at i32) (local $end i32)
    (local.set $fd (call $data))
    (loop $more
      (local.set $at
        (select (i32.const 512) (i32.const 520) (i64.eq (local.get $buffers) (i64.const 1))))
      (local.set $end
        (i32.add (local.get $at) (i32.shl (i32.wrap_i64 (local.get $buffers)) (i32.const 3))))
      (loop $again
        (if (call $fd_write (local.get $fd) (local.get $at)
              (i32.shr_u (i32.sub (local.get $end) (local.get $at)) (i32.const 3))
              (i32.const 0))
          (then (unreachable)))
        (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 0))))
        (local.set $at (call $next (local.get $at)))
        (br_if $again (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  ;; The buffer behind those from $at on that as many bytes as are at 0 went through.
  (func $next (param $at i32) (result i32)
    (local $left i32)
    (local.set $left (i32.load (i32.const 0)))
    (if (i32.eqz (local.get $left)) (then (unreachable)))
    (loop $more
      (local.set $left (i32.sub (local.get $left) (i32.load offset=4 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.gt_s (local.get $left) (i32.const 0))))
    (if (local.get $left) (then (unreachable)))
    (local.get $at))

  (func (export "fd_pread") (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_pread (local.get $fd) (i32.const 512) (i32.const 1) (i64.const 0)
            (i32.const 0))
        (then (unreachable)))
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 0))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  (func (export "fd_pwrite") (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local.set $fd (call $data))
    (loop $more
      (if (call $fd_pwrite (local.get $fd) (i32.const 512) (i32.const 1) (i64.const 0)
            (i32.const 0))
        (then (unreachable)))
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 0))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  ;; $steps: of the path, 1 or 3. Opened for reading.
  (func (export "path_open") (param $steps i64) (param $times i64) (result i64)
    (local $n i64) (local $path i32) (local $len i32)
    (local.set $path (call $path (local.get $steps)))
    (local.set $len (call $len (local.get $steps)))
    (loop $more
      (if (call $path_open (global.get $root) (i32.const 0) (local.get $path) (local.get $len)
            (i32.const 0) (i64.const 0x200026) (i64.const 0) (i32.const 0) (i32.const 0))
        (then (unreachable)))
      (if (call $fd_close (i32.load (i32.const 0))) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n))

  ;; Gives the sum of the sizes. $follow: a symbolic link at the end, or not.
  (func (export "path_filestat_get")
    (param $steps i64) (param $follow i64) (param $times i64) (result i64)
    (local $n i64) (local $path i32) (local $len i32) (local $sum i64)
    (local.set $path (call $path (local.get $steps)))
    (local.set $len (call $len (local.get $steps)))
    (loop $more
      (if (call $path_filestat_get (global.get $root) (i32.wrap_i64 (local.get $follow))
            (local.get $path) (local.get $len) (i32.const 0))
        (then (unreachable)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (i32.const 32))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $sum))

  (func $path (param $steps i64) (result i32)
    (select (i32.const 1032) (i32.const 1040) (i64.eq (local.get $steps) (i64.const 1))))

  (func $len (param $steps i64) (result i32)
    (select (i32.const 4) (i32.const 8) (i64.eq (local.get $steps) (i64.const 1))))

  ;; Gives the number of entries, `.` and `..` among them.
  (func (export "fd_readdir") (param $times i64) (result i64)
    (local $n i64) (local $fd i32) (local $sum i64)
    (local $cookie i64) (local $used i32) (local $at i32) (local $after i32)
    ;; With the right fd_readdir.
    (local.set $fd (call $open (i32.const 24) (i32.const 2) (i64.const 0x4000)))
    (loop $more
      (local.set $cookie (i64.const 0))
      (loop $page
        (if (call $fd_readdir (local.get $fd) (i32.const 8192) (i32.const 4096)
              (local.get $cookie) (i32.const 0))
          (then (unreachable)))
        (local.set $used (i32.load (i32.const 0)))
        (local.set $at (i32.const 0))
        (block $end
          (loop $entry
            ;; An entry that is not there as a whole comes again with the next page.
            (br_if $end
              (i32.gt_u (i32.add (local.get $at) (i32.const 24)) (local.get $used)))
            (local.set $after
              (i32.add (i32.add (local.get $at) (i32.const 24))
                (i32.load offset=8208 (local.get $at))))
            (br_if $end (i32.gt_u (local.get $after) (local.get $used)))
            (local.set $cookie (i64.load offset=8192 (local.get $at)))
            (local.set $sum (i64.add (local.get $sum) (i64.const 1)))
            (local.set $at (local.get $after))
            (br $entry)))
        (br_if $page (i32.eq (local.get $used) (i32.const 4096))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (call $close (local.get $fd))
    (local.get $sum))

  (func (export "poll_oneoff") (param $times i64) (result i64)
    (local $n i64)
    (loop $more
      (if (call $poll_oneoff (i32.const 640) (i32.const 256) (i32.const 1) (i32.const 0))
        (then (unreachable)))
      (if (i32.ne (i32.load (i32.const 0)) (i32.const 1)) (then (unreachable)))
      (if (i64.ne (i64.load (i32.const 256)) (i64.const 42)) (then (unreachable)))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $n) (local.get $times))))
    (local.get $n)))
