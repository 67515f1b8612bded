//! What programs in Rust lean on: threads, channels, timers, panics that unwind.
use std::collections::{BTreeMap, HashMap};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

static ONCE: OnceLock<String> = OnceLock::new();
thread_local!(static OWN: std::cell::RefCell<u32> = std::cell::RefCell::new(1));

fn channels() {
    let (to, from) = mpsc::channel();
    for id in 0..4u64 {
        let to = to.clone();
        thread::spawn(move || (0..100).for_each(|i| to.send(id * 1000 + i).unwrap()));
    }
    drop(to);
    println!("received {}", from.iter().sum::<u64>());
    let (to, from) = mpsc::sync_channel(2);
    let sender = thread::spawn(move || (0..5).map(|i| to.send(i).is_ok()).filter(|ok| *ok).count());
    println!("bounded {:?} {}", from.iter().take(5).collect::<Vec<i32>>(), sender.join().unwrap());
    let (_to, from) = mpsc::channel::<()>();
    println!("timeout {:?}", from.recv_timeout(Duration::from_millis(3)));
}

fn locks() {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let barrier = Arc::new(Barrier::new(4));
    let shared = Arc::new(RwLock::new(BTreeMap::new()));
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let (pair, barrier, shared) = (pair.clone(), barrier.clone(), shared.clone());
            thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
                OWN.with(|own| *own.borrow_mut() += id);
                barrier.wait();
                let name = thread::current().name().unwrap().to_string();
                shared.write().unwrap().insert(name, OWN.with(|own| *own.borrow()));
                *pair.0.lock().unwrap() += 1;
                pair.1.notify_one();
                ONCE.get_or_init(|| "once".into()).len()
            }).unwrap()
        })
        .collect();
    let mut count = pair.0.lock().unwrap();
    while *count < 4 {
        count = pair.1.wait_timeout(count, Duration::from_secs(5)).unwrap().0;
    }
    drop(count);
    let lengths: usize = threads.into_iter().map(|each| each.join().unwrap()).sum();
    println!("{:?} {lengths}", shared.read().unwrap());
}

fn scoped() {
    let numbers: Vec<u64> = (1..=1000).collect();
    let sums: Vec<u64> = thread::scope(|scope| {
        let parts: Vec<_> = numbers.chunks(300)
            .map(|part| scope.spawn(move || part.iter().sum()))
            .collect();
        parts.into_iter().map(|each| each.join().unwrap()).collect()
    });
    println!("scoped {sums:?}");
}

fn panics() {
    std::panic::set_hook(Box::new(|info| println!("hook: {info}")));
    let failed = thread::spawn(|| -> u32 { panic!("on purpose {}", 5) }).join();
    println!("joined {:?}", failed.unwrap_err().downcast_ref::<String>());
    let caught = std::panic::catch_unwind(|| [1, 2, 3][std::env::args().count() + 2]);
    println!("caught {}", caught.is_err());
}

fn main() {
    let start = Instant::now();
    channels();
    locks();
    scoped();
    panics();
    thread::sleep(Duration::from_millis(2));
    println!("time passes {}", start.elapsed() >= Duration::from_millis(5));
    let words: HashMap<&str, usize> = "a bb ccc".split(' ').map(|w| (w, w.len())).collect();
    println!("{}", words["ccc"]);
    std::process::exit(4);
}
