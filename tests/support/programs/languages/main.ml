(* What programs in OCaml lean on: collection, exceptions, threads, channels of events. *)
let fib = let rec f n = if n < 2 then n else f (n - 1) + f (n - 2) in f

exception Wrong of int

module Words = Map.Make (String)

let collected () =
  let kept = Array.init 1000 (fun i -> Bytes.make (i mod 64) 'x') in
  for _ = 1 to 200 do
    Array.iteri (fun i b -> kept.(i) <- Bytes.cat (Bytes.sub b 0 (Bytes.length b / 2)) b) kept;
    Array.iteri (fun i _ -> kept.(i) <- Bytes.make (i mod 64) 'y') kept
  done;
  Gc.full_major ();
  Printf.printf "kept %d\n" (Array.fold_left (fun n b -> n + Bytes.length b) 0 kept)

let threads () =
  let channel = Event.new_channel () in
  let mutex = Mutex.create () and total = ref 0 in
  let work id =
    for i = 1 to 50 do
      Mutex.lock mutex;
      total := !total + (id * i);
      Mutex.unlock mutex;
      if i mod 10 = 0 then Thread.yield ()
    done;
    Event.sync (Event.send channel (fib (10 + id)))
  in
  let started = List.init 4 (fun id -> Thread.create work id) in
  let got = List.init 4 (fun _ -> Event.sync (Event.receive channel)) in
  List.iter Thread.join started;
  Thread.delay 0.002;
  Printf.printf "total %d, %s\n" !total
    (String.concat " " (List.map string_of_int (List.sort compare got)))

let () =
  (try raise (Wrong (fib 20)) with Wrong n -> Printf.printf "wrong %d\n" n);
  (try ignore (List.nth [ 1 ] 5) with Failure what -> print_endline what);
  let words = List.fold_left (fun m w -> Words.add w (String.length w) m) Words.empty [ "a"; "bb" ] in
  Words.iter (Printf.printf "%s %d\n") words;
  collected ();
  threads ();
  let deep = try let rec f n = 1 + f (n + 1) in f 0 with Stack_overflow -> -1 in
  Printf.printf "deep %d, %s\n" deep (Unix.getenv "WORD");
  exit 5
