//! Features that a target cannot have: building them there fails with one sentence, and not with
//! many errors of a library.

macro_rules! refuse {
    ($($feature:literal, $needs:literal;)*) => {
        $(
            #[cfg(feature = $feature)]
            compile_error!(concat!(
                "feature `", $feature, "` needs ", $needs, ", which WebAssembly does not have; ",
                "build with `default-features = false` and without it"
            ));
        )*
    };
}

// What else needs one of these implies `net`.
refuse! {
    "net", "an operating system with sockets";
    "stacks", "call stacks that can be read";
    "sim", "stacks that can be switched";
    "tokio-compat", "tokio's threads and sockets";
}

#[cfg(all(feature = "time", target_os = "unknown"))]
compile_error!(
    "feature `time` needs a clock, which `wasm32-unknown-unknown` does not have; build without it, \
     or for `wasm32-wasip1`"
);
