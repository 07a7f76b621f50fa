//! The name of the type of a task's future.

/// The type that the user has spawned: without what this crate puts around it.
pub(super) fn unwrapped(mut future: &'static str) -> &'static str {
    const WRAPPERS: [&str; 5] = [
        "executor::macros::",
        "executor::sim::",
        "executor::tasks::queue::Counted<",
        "executor::tasks::observe::",
        "core::pin::Pin<alloc::boxed::Box<",
    ];
    while WRAPPERS.iter().any(|wrapper| future.starts_with(wrapper)) {
        let Some(arguments) = future.find('<') else {
            break;
        };
        future = first_argument(&future[arguments + 1..]);
        future = future
            .strip_prefix("alloc::boxed::Box<")
            .map_or(future, first_argument);
    }
    future
}

/// Up to the end of the first of some type arguments.
fn first_argument(arguments: &str) -> &str {
    let mut depth = 0;
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b',' | b'>' if depth == 0 => return &arguments[..at],
            // "->" ends no list.
            b'>' if arguments[..at].ends_with('-') => {}
            b'>' | b')' | b']' => depth -= 1,
            _ => {}
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::unwrapped;

    #[test]
    fn a_future_is_named_as_it_was_spawned() {
        for (wrapped, spawned) in [
            ("mine::run::{{closure}}", "mine::run::{{closure}}"),
            (
                "core::pin::Pin<alloc::boxed::Box<mine::Big<(u8, [u8; 3])>>>",
                "mine::Big<(u8, [u8; 3])>",
            ),
            (
                "executor::macros::until::Until<mine::test::{{closure}}>",
                "mine::test::{{closure}}",
            ),
            (
                "executor::tasks::queue::Counted<mine::F<fn(u8) -> u8, B>, alloc::sync::Arc<executor::S>>",
                "mine::F<fn(u8) -> u8, B>",
            ),
            (
                "executor::tasks::observe::traced::Observed<core::pin::Pin<alloc::boxed::Box<dyn mine::F>>>",
                "dyn mine::F",
            ),
        ] {
            assert_eq!(unwrapped(wrapped), spawned);
        }
    }
}
