//! Waiting for a condition, never for a time: each wait has a deadline and says what it waited for.

use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer. Panics at the deadline, with what was waited for and the last reason.
pub async fn eventually<T, F, A>(deadline: Duration, what: &str, mut ask: A) -> T
where
    A: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let until = Instant::now() + deadline;
    let mut last = String::from("not asked yet");
    loop {
        match timeout(deadline, ask()).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(reason)) => last = reason,
            Err(_) => last = format!("no answer at all; before: {last}"),
        }
        assert!(Instant::now() < until, "not within {deadline:?}: {what}\nlast seen: {last}");
        sleep(PAUSE).await;
    }
}

/// The future's result, or a panic that names what took too long.
pub async fn within<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    timeout(deadline, future).await.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}
