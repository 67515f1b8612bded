//! Timers, tasks and channels of tokio, on a runtime with threads.
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinSet, time};

#[tokio::main(flavor = "multi_thread", worker_threads = 3)]
async fn main() {
    let mut tasks = JoinSet::new();
    for id in 0..20u64 {
        tasks.spawn(async move {
            time::sleep(Duration::from_millis(id % 5)).await;
            id * id
        });
    }
    let mut sum = 0;
    while let Some(done) = tasks.join_next().await {
        sum += done.unwrap();
    }
    println!("sum {sum}");
    let (to, mut from) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut ticks = time::interval(Duration::from_millis(2));
        for i in 0..5 {
            ticks.tick().await;
            to.send(i).await.unwrap();
        }
    });
    while let Some(i) = from.recv().await {
        println!("tick {i}");
    }
    let late = time::timeout(Duration::from_millis(3), std::future::pending::<()>()).await;
    println!("late {}", late.is_err());
    println!("blocking {}", tokio::task::spawn_blocking(|| (1..=10u64).product::<u64>()).await.unwrap());
}
