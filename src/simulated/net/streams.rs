//! Connections: TCP, and Unix streams, which are the same without a way to go.
//!
//! The two ends of a connection are two sockets. A writer may have so many bytes under way as its
//! send buffer and its peer's receive buffer take together. A write that finds no room blocks
//! until the peer has read, and has said so.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use super::links::RESEND;
use super::packets::Packet;
use super::socket::{Kind, State, Stream};
use super::{Moment, Network, Result, SocketId};

/// One write of so many takes less than it could.
const SHORT_WRITE: u32 = 32;
/// The bytes of one write of so many arrive in two parts.
const SPLIT: u32 = 16;
/// How long after the first one the second part arrives: one to four of these.
const APART: Duration = Duration::from_micros(20);

impl Network {
    pub(super) fn stream(&self, id: SocketId) -> Result<&Stream> {
        match &self.socket(id)?.kind {
            Kind::Stream(stream) => Ok(stream),
            _ => Err(ErrorKind::NotConnected),
        }
    }

    pub(super) fn stream_mut(&mut self, id: SocketId) -> Result<&mut Stream> {
        match &mut self.socket_mut(id)?.kind {
            Kind::Stream(stream) => Ok(stream),
            _ => Err(ErrorKind::NotConnected),
        }
    }

    /// Takes at most `wanted` bytes that have arrived, or only looks at them. None: the end.
    pub(crate) fn read(
        &mut self,
        id: SocketId,
        wanted: usize,
        peeks: bool,
        at: &mut Moment<'_>,
    ) -> Result<Vec<u8>> {
        self.advance(at);
        let stream = self.stream_mut(id)?;
        if stream.incoming.is_empty() {
            if stream.has_ended_for_good() {
                return Ok(Vec::new());
            }
            if let Some(error) = stream.error.take() {
                return Err(error);
            }
            let ended = stream.has_ended || stream.shut_for_reads || stream.is_broken();
            return if ended || wanted == 0 {
                Ok(Vec::new())
            } else {
                Err(ErrorKind::WouldBlock)
            };
        }
        let count = wanted.min(stream.incoming.len());
        let (front, back) = stream.incoming.as_slices();
        let mut taken = Vec::with_capacity(count);
        taken.extend_from_slice(&front[..count.min(front.len())]);
        taken.extend_from_slice(&back[..count - taken.len()]);
        if peeks {
            return Ok(taken);
        }
        stream.incoming.drain(..count);
        if let State::Open { peer } = stream.state {
            self.tell_of_room(id, peer, count, at);
        }
        Ok(taken)
    }

    /// Sends as many of the bytes as there is room for.
    pub(crate) fn write(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        at: &mut Moment<'_>,
    ) -> Result<usize> {
        self.advance(at);
        let stream = self.stream_mut(id)?;
        if let Some(error) = stream.error.take() {
            return Err(error);
        }
        let peer = match stream.state {
            State::Connecting => return Err(ErrorKind::WouldBlock),
            State::Open { peer } if !stream.shut_for_writes => peer,
            State::Open { .. } | State::Broken => return Err(ErrorKind::BrokenPipe),
        };
        let route = stream.route;
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.room(id, peer)?;
        let stream = self.stream_mut(id)?;
        if room == 0 {
            if !std::mem::replace(&mut stream.is_blocked, true) {
                self.probe(id, peer, at);
            }
            return Err(ErrorKind::WouldBlock);
        }
        let mut count = bytes.len().min(room);
        count -= part(count, SHORT_WRITE, at);
        stream.under_way += count;
        let (first, second) = bytes[..count].split_at(count - part(count, SPLIT, at));
        self.transmit(id, route, bytes_to(id, peer, first), at);
        if !second.is_empty() {
            let delay = APART * (1 + at.choose(4, 2));
            self.transmit_later(id, route, bytes_to(id, peer, second), delay, at);
        }
        Ok(count)
    }

    /// How many bytes more may be under way.
    fn room(&self, id: SocketId, peer: SocketId) -> Result<usize> {
        let socket = self.socket(id)?;
        let peer = self.sockets.get(&peer).unwrap_or(socket);
        let buffers = socket
            .options
            .send_buffer
            .saturating_add(peer.options.receive_buffer);
        Ok(buffers.max(1).saturating_sub(self.stream(id)?.under_way))
    }

    /// A reader has taken bytes. A writer that waits for that learns of it when a packet has come,
    /// any other at once, as it does not notice.
    fn tell_of_room(&mut self, id: SocketId, writer: SocketId, bytes: usize, at: &mut Moment<'_>) {
        let Ok(stream) = self.stream_mut(writer) else {
            return;
        };
        if !stream.is_blocked {
            stream.under_way = stream.under_way.saturating_sub(bytes);
            return;
        }
        if let Ok(route) = self.stream(id).map(|stream| stream.route) {
            self.transmit(id, route, Packet::Room { to: writer, bytes }, at);
        }
    }

    /// A TCP writer that waits for room asks for it now and then. That is of importance only if its
    /// peer is shut down: no other answer would come.
    fn probe(&mut self, writer: SocketId, peer: SocketId, at: &mut Moment<'_>) {
        let is_shut = self.stream(peer).is_ok_and(Stream::resets_bytes);
        if let (true, Ok(route)) = (is_shut, self.stream(writer).map(|writer| writer.route)) {
            self.transmit_later(writer, route, bytes_to(writer, peer, &[]), RESEND, at);
        }
    }

    pub(super) fn room_arrives(&mut self, id: SocketId, bytes: usize) {
        if let Ok(stream) = self.stream_mut(id) {
            stream.under_way = stream.under_way.saturating_sub(bytes);
            if std::mem::take(&mut stream.is_blocked) {
                self.tell(id);
            }
        }
    }

    /// Ends one direction or both.
    pub(crate) fn shut_down(
        &mut self,
        id: SocketId,
        how: Shutdown,
        at: &mut Moment<'_>,
    ) -> Result<()> {
        self.advance(at);
        if let Kind::UnixDatagrams(_) = self.socket(id)?.kind {
            return self.shut_down_unix_datagrams(id, how);
        }
        let stream = self.stream_mut(id)?;
        let is_unix = stream.is_unix();
        let peer = match stream.state {
            State::Open { peer } => peer,
            State::Broken if is_unix => return Ok(()),
            State::Connecting | State::Broken => return Err(ErrorKind::NotConnected),
        };
        let route = stream.route;
        if how != Shutdown::Write {
            stream.shut_for_reads = true;
        }
        if how != Shutdown::Read && !std::mem::replace(&mut stream.shut_for_writes, true) {
            self.transmit(id, route, Packet::End { from: id, to: peer }, at);
        }
        self.tell(id);
        let Ok(writer) = self.stream_mut(peer) else {
            return Ok(());
        };
        if is_unix && how != Shutdown::Write {
            // A Unix socket knows at once that its peer reads no more.
            writer.shut_for_writes = true;
            self.tell(peer);
        } else if writer.is_blocked {
            self.probe(peer, id, at);
        }
        Ok(())
    }

    /// The connection of a socket is no more. What has arrived can still be read.
    pub(super) fn break_stream(&mut self, id: SocketId, error: Option<ErrorKind>) {
        if let Ok(stream) = self.stream_mut(id) {
            if !stream.is_broken() {
                stream.state = State::Broken;
                stream.error = error;
                self.do_not_give_up(id);
                self.tell(id);
            }
        }
    }

    /// A socket is about to be removed.
    pub(super) fn end_stream(&mut self, id: SocketId, resets: bool, at: &mut Moment<'_>) {
        let Ok(socket) = self.socket(id) else {
            return;
        };
        let lingers = socket.options.linger;
        let Ok(stream) = self.stream(id) else {
            return;
        };
        let route = stream.route;
        let resets = resets || !stream.incoming.is_empty() || lingers == Some(Duration::ZERO);
        match stream.state {
            State::Connecting => self.drop_all_of(id),
            State::Open { peer } if resets => {
                self.transmit(id, route, Packet::Reset { to: peer }, at);
            }
            State::Open { peer } if stream.is_unix() => {
                self.transmit(id, route, Packet::Gone { from: id, to: peer }, at);
            }
            State::Open { peer } if !stream.shut_for_writes => {
                self.transmit(id, route, Packet::End { from: id, to: peer }, at);
            }
            State::Open { .. } | State::Broken => {}
        }
    }
}

fn bytes_to(from: SocketId, to: SocketId, bytes: &[u8]) -> Packet {
    let bytes = bytes.to_vec();
    Packet::Bytes { from, to, bytes }
}

/// How many of so many units come short, if chance says so; never all of them.
fn part(count: usize, rarity: u32, at: &mut Moment<'_>) -> usize {
    match u32::try_from(count) {
        Ok(0 | 1) => 0,
        Ok(count) => at.choose(count, rarity) as usize,
        Err(_) => 0,
    }
}
