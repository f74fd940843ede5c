//! A UDP echo server, and a client that checks what it gets back.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use libc::c_int;

const LARGEST: usize = 65_535;
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers for ever. Each address has a socket of its own, so that answers come from the address that
/// was asked.
pub(crate) fn echo(ips: &[IpAddr], port: u16, name: &str) -> io::Result<()> {
    let sockets: Vec<_> = ips
        .iter()
        .map(|ip| UdpSocket::bind((*ip, port)))
        .collect::<Result<_, _>>()?;
    println!("ready");
    thread::scope(|scope| {
        for socket in &sockets {
            scope.spawn(move || serve(socket, name));
        }
    });
    Ok(())
}

fn serve(socket: &UdpSocket, name: &str) {
    let mut buffer = vec![0; LARGEST];
    loop {
        // An error is about an earlier answer that could not be delivered.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let answer = [name.as_bytes(), b"\n", &buffer[..length]].concat();
        if let Err(e) = socket.send_to(&answer, from) {
            eprintln!("answer to {from}: {e}");
        }
    }
}

/// What `udp-ask` may be told.
pub(crate) struct Options {
    flows: usize,
    rounds: usize,
    size: usize,
    dont_fragment: Option<bool>,
    ttl: Option<c_int>,
    /// After each answer.
    pause: Duration,
}

impl Options {
    /// Reads `KEY=N` words.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            flows: 1,
            rounds: 1,
            size: 64,
            dont_fragment: None,
            ttl: None,
            pause: Duration::ZERO,
        };
        for word in words {
            let (key, value) = word.split_once('=').ok_or("KEY=N expected")?;
            match key {
                "flows" => options.flows = value.parse()?,
                "rounds" => options.rounds = value.parse()?,
                "size" => options.size = value.parse()?,
                "df" => options.dont_fragment = Some(value == "1"),
                "ttl" => options.ttl = Some(value.parse()?),
                "pause" => options.pause = Duration::from_millis(value.parse()?),
                _ => return Err(format!("unknown key {key}").into()),
            }
        }
        Ok(options)
    }
}

/// Asks the echo at `to`; prints one line for each datagram: who answered, or what went wrong.
pub(crate) fn ask(to: SocketAddr, options: &Options) -> io::Result<()> {
    // Open to the end: a port given back could be given to a later flow, which then is none of its own.
    let mut sockets = Vec::new();
    for flow in 0..options.flows {
        sockets.push(connect(to, options)?);
        let socket = &sockets[flow];
        for round in 0..options.rounds {
            match exchange(socket, &question(flow, round, options.size)) {
                Ok(answer) => println!("{answer}"),
                Err(e) => println!("{}", error_name(&e)),
            }
            thread::sleep(options.pause);
        }
    }
    Ok(())
}

fn connect(to: SocketAddr, options: &Options) -> io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    if let Some(df) = options.dont_fragment {
        match (to.is_ipv4(), df) {
            (true, true) => set(
                &socket,
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DO,
            )?,
            (true, false) => set(
                &socket,
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DONT,
            )?,
            (false, true) => set(
                &socket,
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DO,
            )?,
            (false, false) => set(
                &socket,
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DONT,
            )?,
        }
    }
    if let Some(ttl) = options.ttl {
        // ICMP "time exceeded" reaches only sockets that ask for every error.
        if to.is_ipv4() {
            set(&socket, libc::IPPROTO_IP, libc::IP_TTL, ttl)?;
            set(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
        } else {
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, ttl)?;
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
        }
    }
    socket.connect(to)?;
    Ok(socket)
}

/// Bytes that no other question has.
fn question(flow: usize, round: usize, size: usize) -> Vec<u8> {
    let seed = flow * 7919 + round * 104_729;
    (0..size)
        .map(|i| (seed.wrapping_add(i * i) >> 3) as u8 ^ i as u8)
        .collect()
}

fn exchange(socket: &UdpSocket, question: &[u8]) -> io::Result<String> {
    socket.send(question)?;
    let mut buffer = vec![0; LARGEST];
    let length = socket.recv(&mut buffer)?;
    let answer = &buffer[..length];
    let end = answer.iter().position(|b| *b == b'\n').unwrap_or(length);
    Ok(if answer.get(end + 1..) == Some(question) {
        String::from_utf8_lossy(&answer[..end]).into_owned()
    } else {
        "damaged".to_owned()
    })
}

fn error_name(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::EAGAIN) => "lost".to_owned(),
        Some(libc::ECONNREFUSED) => "ECONNREFUSED".to_owned(),
        Some(libc::EMSGSIZE) => "EMSGSIZE".to_owned(),
        Some(libc::EHOSTUNREACH) => "EHOSTUNREACH".to_owned(),
        _ => e.to_string(),
    }
}

fn set(socket: &UdpSocket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the option's value is the `c_int` whose size is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
