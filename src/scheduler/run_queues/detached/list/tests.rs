//! Each step on a list of two places.

use std::cell::Cell;

use crossbeam_deque::Worker as LocalQueue;
use crossbeam_utils::CachePadded;

use super::*;
use crate::scheduler::processor::tests::{keep, token};
use crate::tasks::Runnable;

type List = DetachedList<2>;

fn detached() -> (&'static Processor, LocalQueue<Runnable>) {
    let queue = LocalQueue::new_fifo();
    let processor: &'static CachePadded<Processor> =
        Box::leak(Box::new(Processor::new(&queue).into()));
    keep(processor);
    (processor, queue)
}

#[track_caller]
fn assert_lists(list: &List, expected: &[&Processor]) {
    let listed: Vec<_> = list.iter().collect();
    assert!(
        listed.len() == expected.len() && listed.iter().zip(expected).all(|(a, b)| ptr::eq(*a, *b))
    );
    assert_eq!(list.is_empty(), expected.is_empty());
    assert_eq!(list.count.load(Ordering::Relaxed), expected.len());
    assert!(
        listed
            .iter()
            .all(|processor| processor.listed.load(Ordering::Relaxed))
    );
}

#[test]
fn a_processor_is_listed_once_and_leaves_a_place_for_the_next() {
    let (list, [one, two, three]) = (List::new(), [detached().0, detached().0, detached().0]);
    assert_lists(&list, &[]);
    assert!(list.list(one) && list.list(one));
    assert_lists(&list, &[one]);
    assert!(list.list(two));
    assert_lists(&list, &[one, two]);
    assert!(
        !list.list(three) && !list.list(three),
        "there is no room, however often it is asked for"
    );
    assert_lists(&list, &[one, two]);
    assert!(!three.listed.load(Ordering::Relaxed));
    list.unlist(three);
    assert_lists(&list, &[one, two]);
    list.unlist(one);
    assert!(!one.listed.load(Ordering::Relaxed));
    assert_lists(&list, &[two]);
    list.unlist(one);
    assert_lists(&list, &[two]);
    assert!(list.list(three));
    assert_lists(&list, &[three, two]);
    list.clear();
    assert_lists(&list, &[]);
    assert!(!two.listed.load(Ordering::Relaxed) && !three.listed.load(Ordering::Relaxed));
}

#[test]
fn tidying_takes_the_empty_off_and_leaves_what_holds_work() {
    let list = List::new();
    let ((empty, _queue), (full, queue)) = (detached(), detached());
    queue.push(token().1);
    assert!(list.list(empty) && list.list(full));
    assert!(!list.sweep(|_| panic!("there is room")));
    assert_lists(&list, &[full]);
    assert!(!list.sweep(|_| panic!("there is room")));
    drop(queue.pop());
    assert!(!list.sweep(|_| panic!("there is room")));
    assert_lists(&list, &[]);
}

/// A queue that looks empty at first: as if the push came in between. Here the look itself brings
/// it.
#[test]
fn what_comes_while_a_processor_is_taken_off_puts_it_back() {
    let list = List::new();
    let (processor, queue) = detached();
    assert!(list.list(processor));
    let looks = Cell::new(0);
    let is_empty = |_: &Processor| {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            queue.push(token().1);
        }
        queue.is_empty()
    };
    assert!(list.sweep_by(is_empty, |_| panic!("there is room")));
    assert_lists(&list, &[processor]);
    drop(queue.pop());
    looks.set(0);
    // Another one has taken the place meanwhile.
    let ((other, _), (another, _)) = (detached(), detached());
    let robbed = Cell::new(0);
    let is_empty = |_: &Processor| {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            assert!(list.list(other) && list.list(another));
        }
        looks.get() != 2
    };
    assert!(list.sweep_by(is_empty, |robbed_at| {
        assert!(ptr::eq(robbed_at, processor));
        robbed.set(robbed.get() + 1);
    }));
    assert_eq!(robbed.get(), 1);
    assert!(!processor.listed.load(Ordering::Relaxed));
    list.clear();
}
