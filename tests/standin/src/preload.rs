//! The functions ipvsadm calls, in place of libnl's and of `fopen`.
//!
//! Messages are libnl's own: they are made and freed by the real library, which ipvsadm has loaded.
#![expect(unsafe_code, reason = "these are functions of C programs")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::{env, fs, ptr};

use crate::family::{Counters, Family};

const FAMILY_NAME: &CStr = c"IPVS";
const FAMILY_ID: c_int = 27;
const CONNECTIONS: &CStr = c"/proc/net/ip_vs_conn";
/// `NL_CB_VALID`: messages that are answers.
const VALID: c_int = 0;
/// `NL_SKIP`.
const SKIP: c_int = 1;
/// `NL_STOP`.
const STOP: c_int = 2;

type Socket = *mut c_void;
type Message = *mut c_void;
type OnMessage = unsafe extern "C" fn(Message, *mut c_void) -> c_int;
type OnError = unsafe extern "C" fn(*mut c_void, *mut ErrorMessage, *mut c_void) -> c_int;

unsafe extern "C" {
    fn nlmsg_hdr(message: Message) -> *mut u8;
    fn nlmsg_convert(header: *const u8) -> Message;
    fn nlmsg_free(message: Message);
    fn nl_syserr2nlerr(error: c_int) -> c_int;
}

/// `struct nlmsgerr`.
#[repr(C)]
#[derive(Debug)]
pub struct ErrorMessage {
    error: c_int,
    request: [u8; 16],
}

/// What ipvsadm has told a socket; it has one at a time.
#[derive(Default)]
struct Conversation {
    on_message: Option<(OnMessage, *mut c_void)>,
    on_error: Option<(OnError, *mut c_void)>,
    answer: Option<Result<Vec<Vec<u8>>, c_int>>,
}

thread_local! {
    static CONVERSATION: RefCell<Conversation> = RefCell::default();
}

#[unsafe(no_mangle)]
pub extern "C" fn genl_connect(_: Socket) -> c_int {
    CONVERSATION.take();
    0
}

/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genl_ctrl_resolve(_: Socket, name: *const c_char) -> c_int {
    // SAFETY: by contract it is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    if name == FAMILY_NAME {
        FAMILY_ID
    } else {
        refusal(libc::ENOENT)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn nl_socket_modify_cb(
    _: Socket,
    kind: c_int,
    _: c_int,
    function: Option<OnMessage>,
    argument: *mut c_void,
) -> c_int {
    if kind == VALID {
        let call = function.map(|f| (f, argument));
        CONVERSATION.with_borrow_mut(|c| c.on_message = call);
    }
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn nl_socket_modify_err_cb(
    _: Socket,
    _: c_int,
    function: Option<OnError>,
    argument: *mut c_void,
) -> c_int {
    let call = function.map(|f| (f, argument));
    CONVERSATION.with_borrow_mut(|c| c.on_error = call);
    0
}

/// # Safety
/// `message` is a message of libnl.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nl_send_auto_complete(_: Socket, message: Message) -> c_int {
    // SAFETY: by contract it is a message, so its header is that of a whole one.
    let bytes = unsafe {
        let header = nlmsg_hdr(message);
        let length = header.cast::<u32>().read() as usize;
        std::slice::from_raw_parts(header, length)
    };
    let mut family = Family::new(&state(), counters());
    let before = family.history().len();
    let answer = family.answer(bytes);
    if family.history().len() != before {
        keep(family.history());
    }
    CONVERSATION.with_borrow_mut(|c| c.answer = Some(answer));
    c_int::try_from(bytes.len()).unwrap_or(c_int::MAX)
}

#[unsafe(no_mangle)]
pub extern "C" fn nl_recvmsgs_default(_: Socket) -> c_int {
    let said = CONVERSATION.take();
    match said.answer {
        None => 0,
        Some(Err(error)) => said
            .on_error
            .map_or_else(|| refusal(error), |c| report(error, c)),
        Some(Ok(messages)) => {
            let Some((function, argument)) = said.on_message else {
                return 0;
            };
            for bytes in messages {
                // SAFETY: the bytes are a whole message, which libnl copies, and the function is called
                // with the argument that it was given with.
                let next = unsafe {
                    let message = nlmsg_convert(bytes.as_ptr());
                    let next = function(message, argument);
                    nlmsg_free(message);
                    next
                };
                match next {
                    STOP => return 0,
                    next if next < 0 => return next,
                    _ => {}
                }
            }
            0
        }
    }
}

/// Tells of an error as libnl does.
fn report(error: c_int, (function, argument): (OnError, *mut c_void)) -> c_int {
    let mut message = ErrorMessage {
        error: -error,
        request: [0; 16],
    };
    // SAFETY: the function is called with the argument that it was given with, and with an error message
    // that lives as long as the call. The sender's address is not looked at by those who wait for errors.
    match unsafe { function(ptr::null_mut(), &raw mut message, argument) } {
        STOP => refusal(error),
        SKIP => 0,
        next => next.min(0),
    }
}

fn refusal(error: c_int) -> c_int {
    // SAFETY: it maps numbers.
    -unsafe { nl_syserr2nlerr(error) }
}

fn state() -> Vec<u8> {
    let path = env::var_os("STANDIN_STATE");
    path.and_then(|path| fs::read(path).ok())
        .unwrap_or_default()
}

fn keep(history: &[u8]) {
    if let Some(path) = env::var_os("STANDIN_STATE")
        && let Err(error) = fs::write(&path, history)
    {
        eprintln!("stand-in: cannot write {}: {error}", path.display());
    }
}

fn counters() -> Counters {
    let mut counters = Counters::default();
    let told = env::var("STANDIN_COUNTERS").unwrap_or_default();
    for (counter, word) in counters.iter_mut().zip(told.split(',')) {
        *counter = word.parse().unwrap_or_default();
    }
    counters
}

/// # Safety
/// Both are C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    type Open = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut libc::FILE;
    // SAFETY: by contract it is a C string.
    let instead = if unsafe { CStr::from_ptr(path) } == CONNECTIONS {
        let told = env::var("STANDIN_CONNECTIONS").unwrap_or_default();
        Some(CString::new(told).unwrap_or_default())
    } else {
        None
    };
    // SAFETY: the next function of that name is the C library's, whose type is known, and it is called with
    // C strings.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"fopen".as_ptr());
        if next.is_null() {
            return ptr::null_mut();
        }
        let next = std::mem::transmute::<*mut c_void, Open>(next);
        next(instead.as_ref().map_or(path, |name| name.as_ptr()), mode)
    }
}
