//! Just enough of HTTP/2's frames to be a peer that does as it likes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const ACK: u8 = 1;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn is_request_for(&self, kind: u8) -> bool {
        self.kind == kind && self.flags & ACK == 0
    }
}

/// The next frame, or none at the end.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 9];
    if let Err(error) = from.read_exact(&mut head).await {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; len];
    from.read_exact(&mut payload).await?;
    Ok(Some(Frame {
        kind: head[3],
        flags: head[4],
        payload,
    }))
}

/// A frame of the connection itself.
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    flags: u8,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    to.write_all(&frame).await
}

pub async fn acknowledge(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    // A ping is answered with what it carries, settings with nothing.
    let payload = if frame.kind == PING {
        frame.payload.as_slice()
    } else {
        &[]
    };
    write(to, frame.kind, ACK, payload).await
}
