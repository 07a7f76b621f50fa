//! More polls compute than there are processors.

use super::working::{Log, task_of};
use super::*;
use crate::sync::atomic::AtomicBool;
use crate::tasks::Meta;

#[test]
fn while_others_compute_what_is_heavy_waits_and_what_is_light_runs() {
    let yard = Yard::new(1);
    let (shared, log) = (yard.shared, Log::default());
    let counted = Arc::new(AtomicBool::new(false));
    shared.crowd.begin_computing(&counted);
    let heavy = |name, is_last| {
        let log = log.clone();
        let parks = move || local::with_core(shared, |core| core.at.counters.parks.get());
        let runnable = task_of(Meta::new(Id::next(), 5, 0), move || {
            assert_eq!(parks(), Some(0), "it is due when the last one has ended");
            log.lock().push(name);
            shared.closed.store(is_last, Ordering::SeqCst);
        });
        shared.crowd.make_heavy(&runnable);
        runnable
    };
    let light = |name| yard.writes(&log, name, false);
    shared.global.push(heavy(100, false));
    shared.global.push(light(0));
    shared.global.push(heavy(101, true));
    shared.global.push({
        let (log, counted) = (log.clone(), counted.clone());
        task_of(Meta::new(Id::next(), 0, 0), move || {
            log.lock().push(3);
            assert_eq!(shared.crowd.num_held_back(), 2);
            assert!(
                shared.crowd.end_computing(&counted),
                "what is held back is due"
            );
        })
    });
    yard.queue([light(1), light(2)]);
    yard.run();
    assert_eq!(*log.lock(), [0, 1, 2, 3, 100, 101]);
}
