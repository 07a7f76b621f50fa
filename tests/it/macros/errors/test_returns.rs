struct Answer;

#[executor::test]
async fn answers() -> Answer { //~ Answer => the trait bound `Answer: Termination` is not satisfied
    Answer
}

#[executor::test]
#[should_panic]
async fn panics() -> Result<(), Answer> { //~ Result => `Answer` doesn't implement `Debug`
    //~^ fn => functions using `#[should_panic]` must return `()`
    panic!()
}
