struct Answer;

#[executor::main]
async fn main() -> Answer { //~ Answer => `main` has invalid return type `Answer`
    Answer
}
