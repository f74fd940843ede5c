//! The examples do what they say.

#[path = "../examples/simulate.rs"]
mod simulate;

#[test]
fn a_thousand_clients_come_and_go() {
    simulate::main().expect("an hour");
}
