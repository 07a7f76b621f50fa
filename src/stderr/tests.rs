use super::*;

fn texts(queue: &mut Queue, written: bool) -> Vec<String> {
    let next = || queue.next(written, Instant::now());
    std::iter::from_fn(next)
        .map(|message| message.text.make(&Mutex::new(Queue::new())))
        .collect()
}

#[test]
fn what_finds_no_room_is_dropped_and_counted_once() {
    let mut queue = Queue::new();
    queue.has_writer = true;
    queue.push(Text::Ready("x".repeat(CAPACITY - 1)), None);
    queue.push(Text::Ready("y".to_owned()), None);
    for _ in 0..3 {
        queue.push(Text::Ready("z".to_owned()), None);
    }
    assert_eq!((queue.messages.len(), queue.dropped), (2, 3));
    let said = texts(&mut queue, true);
    assert_eq!(said.len(), 3);
    assert_eq!(said[1], "y");
    assert!(said[2].contains("3 messages"), "{}", said[2]);
    assert_eq!((queue.bytes, queue.has_writer), (0, false));
    assert!(texts(&mut queue, true).is_empty(), "they were counted");
}

#[test]
fn a_message_that_is_too_long_is_written_if_it_is_alone() {
    let mut queue = Queue::new();
    queue.push(Text::Ready("x".repeat(2 * CAPACITY)), None);
    queue.push(Text::Ready("y".to_owned()), None);
    assert_eq!((queue.messages.len(), queue.dropped), (1, 1));
}

#[test]
fn while_nothing_can_be_written_the_count_is_kept() {
    let mut queue = Queue::new();
    queue.dropped = 5;
    assert!(texts(&mut queue, false).is_empty());
    assert_eq!(queue.dropped, 5);
    assert_eq!(texts(&mut queue, true).len(), 1);
}

#[test]
fn the_end_of_a_process_waits_for_a_writer_that_gets_on() {
    let mut queue = Queue::new();
    let begin = Instant::now();
    assert_eq!(queue.end_of_hope(begin), begin + PATIENCE);
    // A write that has lasted long already.
    queue.since = begin.checked_sub(STUCK);
    assert!(queue.end_of_hope(begin) <= begin);
    queue.since = Some(begin + PATIENCE);
    assert_eq!(queue.end_of_hope(begin), begin + PATIENCE);
}

#[test]
fn a_child_writes_nothing_of_its_parent_s() {
    let mut queue = Queue::new();
    queue.push(Text::Ready("x".to_owned()), None);
    (queue.has_writer, queue.dropped) = (true, 1);
    queue.forget();
    assert!(texts(&mut queue, true).is_empty());
    assert!(!queue.has_writer);
}

#[test]
fn what_is_on_its_way_is_until_it_is_written() {
    let mut queue = Queue::new();
    let on_its_way = Arc::new(());
    queue.push(Text::Ready("x".to_owned()), Some(on_its_way.clone()));
    let message = queue.next(true, Instant::now());
    assert_eq!(Arc::strong_count(&on_its_way), 2);
    drop(message);
    assert_eq!(Arc::strong_count(&on_its_way), 1);
}

#[test]
fn a_text_that_is_made_later_takes_its_room_until_then() {
    let mut queue = Queue::new();
    queue.push(Text::Later(Box::new(|| "x".repeat(1000))), None);
    assert!(queue.bytes > 0);
    let said = texts(&mut queue, true);
    assert_eq!(said, ["x".repeat(1000)]);
    assert_eq!(queue.bytes, 0);
}

#[test]
fn a_text_that_takes_long_to_make_is_no_stuck_write() {
    let queue = Arc::new(Mutex::new(Queue::new()));
    let before = Instant::now();
    queue.lock().since = Some(before);
    let seen = queue.clone();
    let make = move || format!("{:?}", seen.lock().since);
    assert_eq!(Text::Later(Box::new(make)).make(&queue), "None");
    assert!(queue.lock().since.is_some_and(|since| since >= before));
}

#[test]
fn a_text_that_cannot_be_made_ends_no_writer() {
    let mut queue = Queue::new();
    queue.push(Text::Later(Box::new(|| panic!("by intention"))), None);
    queue.push(Text::Ready("next\n".to_owned()), None);
    let said = texts(&mut queue, true);
    assert_eq!(said, ["executor: a message could not be made\n", "next\n"]);
}
