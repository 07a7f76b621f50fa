//! The tests that documents show: a doc test leaves such functions out.

#[test]
fn nothing_is_lost() {
    executor::sim::check(1000, || async {
        let (sender, receiver) = async_channel::bounded(1);
        let task = executor::spawn(async move { sender.send(5).await });
        assert_eq!(receiver.recv().await, Ok(5));
        task.await.unwrap().unwrap();
    });
}

#[test]
fn the_readme_has_this_program() {
    let (text, readme) = (
        include_str!("documents.rs"),
        include_str!("../../../README.md"),
    );
    let (_, from) = text.split_once("\n\n").expect("the first test");
    let (program, _) = from.split_once("\n\n").expect("it ends");
    assert!(readme.contains(program), "README.md has another one");
}
