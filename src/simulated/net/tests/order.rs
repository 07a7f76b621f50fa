use std::io::ErrorKind;
use std::time::Duration;

use super::super::{MAIN, Pair, Rate, SocketId, UnixName};
use super::World;
use crate::rng::Rng;

/// What happens to one connection, whose writer writes numbers in turn.
fn run(seed: u64) -> (bool, Duration, Vec<u8>) {
    const ALL: usize = 3_000;
    let mut world = World::random(seed);
    let program = Rng::new(seed, 1);
    let other = world.host("other", [10, 0, 0, 2]);
    let pair = Pair::Of(MAIN, other);
    world.net.change_links(pair, |link| {
        link.loss = match program.below(4) {
            0 => Rate::Never,
            1 => Rate::Always,
            count => Rate::OneIn(count),
        };
        link.longest = Duration::from_millis(1 + 50 * u64::from(program.below(2)));
    });
    let to = if program.below(3) == 0 { MAIN } else { other };
    let [near, far] = match program.below(4) {
        0 => world.net.unix_pair(MAIN),
        _ => world.connected(MAIN, to),
    };
    for id in [near, far] {
        let options = world.net.options(id).unwrap();
        options.send_buffer = 1 + program.below(200) as usize;
        options.receive_buffer = 1 + program.below(200) as usize;
    }
    world.register(near, 0);
    world.register(far, 1);
    let mut partitioned = false;
    let (mut written, mut closed, mut blocked) = (0, false, false);
    let mut received = Vec::new();
    let mut trace = Vec::new();
    // Each side tries again only when it has news, as a program does; some ask first whether the
    // socket is ready.
    let mut ready = [true; 2];
    let asks_first = program.below(2) == 0;
    loop {
        for key in world.news() {
            ready[key] = true;
        }
        if asks_first {
            ready[0] &= world.net.readiness(near).writable;
            ready[1] &= world.net.readiness(far).readable;
        }
        let action = program.below(16) as u8;
        trace.push(action);
        match action {
            0 if !partitioned => {
                world.at(|net, at| net.partition(pair, at));
                partitioned = true;
            }
            1 if partitioned => {
                world.at(|net, at| net.heal(pair, at));
                partitioned = false;
            }
            2..8 if ready[0] && written < ALL => {
                let count = 1 + program.below(300) as usize;
                let bytes: Vec<u8> = (written..(written + count).min(ALL))
                    .map(|n| n as u8)
                    .collect();
                match world.write(near, &bytes) {
                    Ok(count) => written += count,
                    Err(ErrorKind::WouldBlock) => (ready[0], blocked) = (false, true),
                    Err(error) => panic!("{error}"),
                }
            }
            2..8 if written == ALL && !closed => {
                world.close(near);
                closed = true;
            }
            8..13 if ready[1] => {
                let wanted = 1 + program.below(300) as usize;
                match world.at(|net, at| net.read(far, wanted, false, at)) {
                    Ok(bytes) if bytes.is_empty() => break,
                    Ok(bytes) => {
                        // As the reactor does: a short read has emptied the socket.
                        let readiness = world.net.readiness(far);
                        ready[1] = bytes.len() == wanted || readiness.read_closed;
                        received.extend(bytes);
                    }
                    Err(ErrorKind::WouldBlock) => ready[1] = false,
                    Err(error) => panic!("{error}"),
                }
            }
            _ => {
                // Nobody gives up in the time between.
                let soon = world.now + Duration::from_secs(20);
                if !partitioned || world.next_due().is_some_and(|due| due < soon) {
                    world.step();
                }
            }
        }
        assert!(
            trace.len() < 1_000_000,
            "seed {seed} hangs: {written} written, {} read",
            received.len()
        );
    }
    assert_eq!(received.len(), ALL, "seed {seed}");
    let expected = (0..ALL).map(|n| n as u8);
    assert!(received.iter().copied().eq(expected), "seed {seed}");
    (blocked, world.now, trace)
}

#[test]
fn a_stream_keeps_all_bytes_in_order_whatever_happens_to_them() {
    let runs: Vec<_> = (0..300).map(run).collect();
    let blocked = runs.iter().filter(|run| run.0).count();
    assert!(
        blocked > 200,
        "the writer must wait in most of them: {blocked}"
    );
    let long = runs.iter().filter(|run| run.1.as_secs() > 1).count();
    assert!(long > 50, "there are losses and partitions: {long}");
}

#[test]
fn the_same_answers_give_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).2, run(2).2);
}

#[test]
fn a_sender_of_unix_datagrams_learns_of_room_whether_it_has_tried_or_asked() {
    for seed in 0..300 {
        let mut world = World::new();
        let program = Rng::new(seed, 1);
        let name = |path: &str| UnixName::Path(path.into());
        let [receiver, other, connected, elsewhere] =
            ["/r", "/o", "/c", "/e"].map(|path| bind(&mut world, name(path)));
        for (id, to) in [(connected, "/r"), (elsewhere, "/o")] {
            world.net.connect_unix_datagrams(id, &name(to)).unwrap();
        }
        // This one is writable only as far as it waits for another socket than its peer.
        while (world.net.send_unix_datagram(elsewhere, b"x", None)).is_ok() {}
        world.register(connected, 0);
        world.register(elsewhere, 1);
        world.register(receiver, 2);
        let mut ready = [true; 3];
        let (mut sent, mut received) = ([0; 2], 0);
        while received < 200 {
            for key in world.news() {
                ready[key] = true;
            }
            assert_ne!(ready, [false; 3], "seed {seed}: {sent:?}, {received}");
            match program.below(3) as usize {
                2 => match world.net.receive_unix_datagram(receiver) {
                    Ok(_) => received += 1,
                    Err(_) => ready[2] = false,
                },
                0 if program.below(2) == 0 && !world.net.readiness(connected).writable => {
                    ready[0] = false;
                }
                side if ready[side] && sent[side] < 100 => {
                    let (id, to) = [(connected, None), (elsewhere, Some(name("/r")))][side].clone();
                    match world.net.send_unix_datagram(id, b"x", to.as_ref()) {
                        Ok(_) => sent[side] += 1,
                        Err(_) => ready[side] = false,
                    }
                }
                side => ready[side] &= sent[side] < 100,
            }
        }
        world.close(other);
    }
}

fn bind(world: &mut World, name: UnixName) -> SocketId {
    world.net.bind_unix_datagrams(MAIN, name).unwrap()
}
