//! What a terminal shows, and what is typed at it: `script` makes one.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use omni_tests::{
    loopback::Loopback,
    program::{Program, Ran},
    screen::Screen,
};

use super::{aged, eventually, hears_hangup, omni, statuses, with_server};

/// What a question ends with: whoever sees it is asked.
const ASKED: &str = "[N]o";
/// What begins and ends the marking of pasted text.
const MARKED_PASTE: [&str; 2] = ["\u{1b}[?2004h", "\u{1b}[?2004l"];

/// Runs it at a terminal where this is typed when something is asked. Answer and messages come on one screen.
fn at_terminal(program: &Program, env: &[(&str, &str)], args: &[&str], typed: &str) -> Ran {
    shell_at_terminal(program, env, &line(program, args), &[(ASKED, typed)])
}

/// The program and its arguments as a line of the shell.
fn line(program: &Program, args: &[&str]) -> String {
    let prepared = program.command(args);
    let words = [prepared.get_program()].into_iter().chain(prepared.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    words.join(" ")
}

/// Runs a line of the shell at a terminal. Each of these is typed when the words before it have been shown.
fn shell_at_terminal(program: &Program, env: &[(&str, &str)], line: &str, typed: &[(&str, &str)]) -> Ran {
    let prepared = program.command(&[]);
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]).current_dir(program.home()).env_clear();
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TERM", "xterm").env("SHELL", "/bin/sh").envs(env.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut part, mut typed) = (Vec::new(), [0; 4_096], typed.iter().peekable());
    loop {
        let count = screen.read(&mut part).unwrap();
        if count == 0 {
            break;
        }
        shown.extend_from_slice(&part[..count]);
        while let Some((_, keys)) = typed.next_if(|(words, _)| String::from_utf8_lossy(&shown).contains(words)) {
            keyboard.write_all(keys.as_bytes()).unwrap();
        }
    }
    let ran = Ran { out: String::from_utf8(shown).unwrap(), ..child.wait_with_output().unwrap().into() };
    drop(keyboard);
    ran
}

/// Whether a text holds a sequence that sets colours.
fn is_coloured(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn whoever_sits_at_a_terminal_sees_the_work_and_nobody_else_does() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let question = ["ask", "database health"];
    let shown = at_terminal(&home, &[], &question, "").exits(0);
    for part in ["thinking", "✓", "db.get_health", "all healthy", "tokens"] {
        assert!(shown.out.contains(part), "{part} in {shown:?}");
    }
    assert!(is_coloured(&shown.out), "{shown:?}");
    let piped = home.run(&question).exits(0);
    assert!(!piped.err.contains("db.get_health") && !piped.err.contains("thinking"), "{piped:?}");
    let quiet = at_terminal(&home, &[], &["-q", "ask", "database health"], "").exits(0);
    assert!(!quiet.out.contains("thinking") && !quiet.out.contains('✓'), "{quiet:?}");
}

#[test]
fn a_terminal_without_colours_gets_none() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let shown = at_terminal(&home, &[("NO_COLOR", "1")], &["ask", "database health"], "").exits(0);
    assert!(shown.out.contains('✓') && !is_coloured(&shown.out), "{shown:?}");
    let dumb = at_terminal(&home, &[("TERM", "dumb")], &["ask", "database health"], "").exits(0);
    assert!(dumb.out.contains("all healthy") && !dumb.out.contains('\u{1b}'), "{dumb:?}");
}

#[test]
fn a_call_that_needs_approval_is_asked_for_at_the_terminal() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let question = ["ask", "drop table \"users\""];
    for typed in ["n\n", "\n", "what?\nno\n"] {
        let refused = at_terminal(&home, &[], &question, typed).exits(5);
        assert!(refused.out.contains("omni wants to run db.drop_table"), "{refused:?}");
    }
    assert_eq!(server.calls().len(), 0);
    let details = at_terminal(&home, &[], &question, "d\ny\n").exits(0);
    assert!(details.out.contains("Rule: ") && details.out.contains("Arguments: {}"), "{details:?}");
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn a_yes_that_was_typed_before_the_question_is_no_answer_to_it() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    // It begins when there is something to read.
    let begin = "bash -c 'echo begin; until read -t 0; do sleep 0.05; done'";
    let line = format!("{begin} && {}", line(&home, &["ask", "drop table \"users\""]));
    let refused = shell_at_terminal(&home, &[], &line, &[("begin", "y\n"), (ASKED, "n\n")]).exits(5);
    assert!(refused.out.contains("omni wants to run db.drop_table"), "{refused:?}");
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn a_chat_that_is_ended_from_outside_leaves_the_terminal_as_it_was() {
    let home = omni();
    // What runs behind a shell reads nothing unless it is given what to read.
    let line = format!(
        "exec 3<&0; modes=$(stty -g); {} <&3 & \
         tries=0; while [ \"$(stty -g)\" = \"$modes\" ] && [ $tries -lt 600 ]; do sleep 0.05; tries=$((tries + 1)); done; \
         sleep 1; kill $!; wait $!; [ \"$(stty -g)\" = \"$modes\" ] && echo 'as it was'",
        line(&home, &["chat"])
    );
    let ended = shell_at_terminal(&home, &[], &line, &[]).exits(0);
    assert!(ended.out.contains("as it was"), "{ended:?}");
    let [begun, over] = MARKED_PASTE.map(|marks| ended.out.rfind(marks));
    assert!(begun.is_some() && over > begun, "{ended:?}");
}

#[test]
fn a_chat_that_is_to_end_ends_whatever_it_is_doing() {
    for signal in ["TERM", "HUP"].into_iter().filter(|signal| *signal != "HUP" || hears_hangup()) {
        let server = Loopback::start();
        let home = with_server(&server, "");
        // What runs behind a shell reads nothing unless it is given what to read.
        let line = format!(
            "exec 3<&0; timeout --foreground -s KILL 60 {} <&3 & \
             tries=0; until [ -e called ] || [ $tries -gt 1200 ]; do sleep 0.05; tries=$((tries + 1)); done; \
             kill -{signal} $!; wait $!; echo \"ended with $?\"",
            line(&home, &["chat"])
        );
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                eventually("the tool is not called", || server.calls().len() == 1);
                std::fs::write(home.home().join("called"), "").unwrap();
            });
            shell_at_terminal(&home, &[], &line, &[("omni> ", "/tool db.hang\r")])
        });
        assert!(ended.out.contains("ended with 130"), "{signal}: {ended:?}");
        assert_eq!(statuses(&home), ["cancelled"], "{signal}");
    }
}

#[test]
fn what_is_logged_stands_on_lines_of_its_own() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let screen = Screen::start(&home, &["-vvv", "ask", "database health"]);
    assert_eq!(screen.ends(), 0);
    let seen = screen.shows("all healthy", 1);
    assert!(seen.contains("TRACE"), "{seen}");
    assert!(!seen.contains("get_health …") && !seen.contains("thinking …"), "{seen}");
}

#[test]
fn whoever_types_a_question_sees_what_they_type_and_nothing_over_it() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let line = format!("echo begin; {}", line(&home, &["ask", "-"]));
    let asked = shell_at_terminal(&home, &[], &line, &[("begin", "database health\n\u{4}")]).exits(0);
    assert!(asked.out.contains("all healthy"), "{asked:?}");
    assert!(!asked.out.contains("reading standard input"), "{asked:?}");
}

#[test]
fn a_question_that_is_not_there_is_a_mistake_of_whoever_sits_at_the_terminal() {
    let ran = at_terminal(&omni(), &[], &["ask"], "").exits(2);
    assert!(ran.out.contains("no question"), "{ran:?}");
}

#[test]
fn what_goes_for_good_is_asked_for_at_the_terminal_unless_somebody_says_yes_before() {
    let home = omni();
    home.run(&["ask", "What can you do?"]).exits(0);
    aged(&home, &format!("sqlite://{}", home.home().join("xdg/data/omni/omni.db").display()));
    let prune = ["db", "prune", "--older-than", "1"];
    for typed in ["n\n", "\n"] {
        let kept = at_terminal(&home, &[], &prune, typed).exits(5);
        assert!(kept.out.contains("goes for good") && kept.out.contains("nothing was removed"), "{kept:?}");
    }
    let gone = at_terminal(&home, &[], &prune, "y\n").exits(0);
    assert!(gone.out.contains("Removed what is older than 1 day: 2 records"), "{gone:?}");
    let unasked = at_terminal(&home, &[], &["db", "prune", "--older-than", "1", "--yes"], "").exits(0);
    assert!(unasked.out.contains("0 records") && !unasked.out.contains("goes for good"), "{unasked:?}");
}
