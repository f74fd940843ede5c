//! Clients that nobody wants, and one in between who is to be served all the same.

use super::*;

const SHORT: Limits = Limits {
    patience: Duration::from_millis(300),
    held: 1 << 20,
};

/// How long a good client waits for a short answer, with all the others there.
#[track_caller]
fn served(bench: &Bench) {
    let begin = Instant::now();
    assert_eq!(bench.get("/healthz").0, 200);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn garbage_is_refused() {
    let bench = Bench::usual();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n: \r\n\r\n",
        b"\xff\xfe GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ] {
        let answer = bench.say(garbage);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer}");
    }
    served(&bench);
}

#[test]
fn a_huge_request_is_refused_and_the_refusal_arrives() {
    let bench = Bench::usual();
    let mut text = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
    text.resize(100_000, b'a');
    let mut stream = bench.connect();
    stream.write_all(&text).unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    stream.write_all(&text).unwrap(); // nothing is reset
    let answer = heard(&mut stream);
    assert!(answer.starts_with("TTP/1.1 431 "), "{answer}");
    // One without end is cut off.
    let mut stream = bench.connect();
    let begin = Instant::now();
    while stream.write_all(&[b'a'; 4096]).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    served(&bench);
}

#[test]
fn of_several_requests_the_first_is_answered() {
    let bench = Bench::usual();
    let answer = bench.say(&b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
    assert_eq!(parted(&answer), (200, "ok\n".to_owned()));
}

#[test]
fn a_request_may_come_in_pieces() {
    let bench = Bench::usual();
    let mut stream = bench.connect();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(parted(&heard(&mut stream)).0, 200);
}

#[test]
fn who_says_nothing_or_little_is_cut_off() {
    let bench = Bench::new(&service(" real_server 10.0.0.1 80 {\n }\n"), SHORT);
    let begin = Instant::now();
    let (mut mute, mut slow) = (bench.connect(), bench.connect());
    slow.write_all(b"GET / HT").unwrap();
    assert_eq!(
        (heard(&mut mute), heard(&mut slow)),
        (String::new(), String::new())
    );
    let took = begin.elapsed();
    assert!(
        took >= SHORT.patience && took < Duration::from_secs(30),
        "{took:?}"
    );
    // Neither does a drop at a time help.
    let (mut drip, begin) = (bench.connect(), Instant::now());
    while drip.write_all(b"a").is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_crowd_of_mutes_keeps_nobody_out() {
    let bench = Bench::usual();
    let mutes: Vec<TcpStream> = (0..200).map(|_| bench.connect()).collect();
    for _ in 0..20 {
        served(&bench);
    }
    let later: Vec<TcpStream> = (0..200).map(|_| bench.connect()).collect();
    served(&bench);
    drop((mutes, later));
    served(&bench);
}

#[test]
fn who_does_not_read_gives_way() {
    let limits = Limits {
        held: 1 << 20,
        ..Limits::default()
    };
    let bench = Bench::reusing(&large(), limits, 0);
    let mut clients: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut client = bench.connect();
            client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
            // So that they come in this order.
            let mut first = [0; 1];
            client.read_exact(&mut first).unwrap();
            client
        })
        .collect();
    served(&bench);
    let mut last = clients.pop().unwrap();
    assert!(
        heard(&mut last).ends_with("# EOF\n"),
        "the last one may take his time"
    );
    for client in &mut clients {
        assert!(
            !heard(client).ends_with("# EOF\n"),
            "the others were cut off"
        );
    }
}

#[test]
fn who_is_answered_stays_while_mutes_come() {
    let bench = Bench::new(&large(), Limits::default());
    let mut client = bench.connect();
    client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut first = [0; 1];
    client.read_exact(&mut first).unwrap();
    let _mutes: Vec<TcpStream> = (0..40).map(|_| bench.connect()).collect();
    served(&bench);
    assert!(heard(&mut client).ends_with("# EOF\n"));
}

#[test]
fn who_asks_at_the_same_time_gets_the_same() {
    let limits = Limits {
        held: 1 << 20,
        ..Limits::default()
    };
    let bench = Bench::reusing(&large(), limits, 1000);
    let ask = || {
        let mut client = bench.connect();
        client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        client
    };
    let clients: Vec<TcpStream> = (0..10).map(|_| ask()).collect();
    let answers: Vec<String> = clients
        .into_iter()
        .map(|mut c| parted(&heard(&mut c)).1)
        .collect();
    assert!(answers[0].len() > 1 << 20 && answers[0].ends_with("# EOF\n"));
    assert!(
        answers.iter().all(|a| *a == answers[0]),
        "and nobody had to leave"
    );
    let unlike = bench.get("/readyz").1;
    assert_eq!(unlike, "ok\n", "of the same path only");
}

#[test]
fn a_slow_reader_gets_everything() {
    let bench = Bench::new(&large(), Limits::default());
    let mut stream = bench.connect();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            n => heard.extend_from_slice(&buffer[..n]),
        }
        thread::sleep(Duration::from_millis(2));
    }
    let (status, body) = parted(std::str::from_utf8(&heard).unwrap());
    assert!(status == 200 && body.len() > 1 << 20 && body.ends_with("# EOF\n"));
}

#[test]
fn the_end_waits_for_nobody() {
    let bench = Bench::new(&large(), Limits::default());
    let mut clients: Vec<TcpStream> = (0..30).map(|_| bench.connect()).collect();
    for client in &mut clients {
        let _ = client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n");
    }
    served(&bench);
    let begin = Instant::now();
    drop(bench.endpoint);
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "{:?}",
        begin.elapsed()
    );
    assert!(TcpStream::connect(bench.addr).is_err());
}
