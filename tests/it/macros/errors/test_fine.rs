#![deny(warnings, missing_docs, unreachable_pub)]

//! Nothing is said of these.

mod inner {
    #[executor::test]
    #[cfg_attr(all(), ignore = "slow")]
    #[should_panic(expected = "on purpose")]
    /// Documented.
    pub(crate) async fn panics() {
        #![allow(unused_variables)]
        let unused = 1;
        panic!("on purpose")
    }
}

#[executor::test(worker_threads = 1_0u8, timeout = r#"1.5m"#, crate = "::executor",)]
async fn r#async() -> Result<(), Box<dyn std::error::Error>> {
    Err(Box::new("x".parse::<u8>().unwrap_err()))
}

#[executor::test(timeout = "250us")]
async fn never() -> ! {
    loop {}
}

macro_rules! tests {
    ($($(#[$attribute:meta])* $name:ident $limit:literal $output:ty $body:block)*) => {
        $(
            #[executor::test(timeout = $limit)]
            $(#[$attribute])*
            async fn $name() -> $output $body
        )*
    };
}

tests! {
    #[should_panic]
    of_a_macro "1h" () { panic!() }
    also_of_a_macro "1h" Result<(), String> { Ok(()) }
}
