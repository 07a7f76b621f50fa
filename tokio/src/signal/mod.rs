//! Signals: see tokio's documentation of the module of this name.

pub(crate) mod registry;

#[cfg(feature = "signal")]
pub mod unix;

#[cfg(feature = "signal")]
use std::io;

/// Completes when somebody has sent SIGINT to the process, as a terminal does for ctrl-c.
///
/// # Errors
///
/// As for [`unix::signal`].
///
/// # Panics
///
/// As for [`unix::signal`].
#[cfg(feature = "signal")]
pub async fn ctrl_c() -> io::Result<()> {
    let mut signal = unix::signal(unix::SignalKind::interrupt())?;
    signal.recv().await;
    Ok(())
}
