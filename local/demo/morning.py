"""The third part: the daily e-mail (events)."""

from datetime import time

from local.demo.stage import Stage
from local.runtime import terminal
from local.runtime.stack import ROOT

MORNING = time(8, 5)
HTML = ROOT / ".local" / "demo" / "daily-email.html"
IN_THE_MAIL = """
    SELECT t.description FROM md_todo t
    JOIN md_user_task_execution e ON e.user_task_execution_pk = t.user_task_execution_fk
    JOIN md_user_task ut ON ut.user_task_pk = e.user_task_fk
    CROSS JOIN LATERAL (SELECT * FROM md_todo_scheduling s WHERE s.todo_fk = t.todo_pk
        ORDER BY s.creation_date DESC LIMIT 1) AS newest
    WHERE ut.user_id = :user_id AND t.completed IS NULL AND (newest.scheduled_date <= :day
        OR CAST(t.todo_pk AS text) IN
            (SELECT subject FROM md_background_job WHERE process = 'reschedule_todo'))
"""


def show(stage: Stage) -> list[str]:
    """Set the clock to the coming morning, show the e-mail, and return the problems.

    Raises:
        DemoError: as `Stage.fire`, `Stage.drain`.
    """
    account, day = stage.account, stage.account.morning
    claire, hugo, moment = account.claire, account.hugo, account.claire.at(day, MORNING)
    terminal.heading("3  Morning: one e-mail with today's to-dos, and the moved ones (events)")
    terminal.paragraph(
        f"The functions' clock is set to {MORNING:%H:%M} of the same day. The schedule function finds the"
        " users whose local time is in the morning, and publishes a message for each."
    )
    print()
    stage.stack.set_clock(moment)
    stage.drain("events", stage.fire("EventsScheduleFunction"))

    mails = stage.stack.mails()
    for mail in mails:
        print()
        head = [f"To       {', '.join(mail.to)}", f"Subject  {mail.subject}", ""]
        terminal.frame(head + mail.text.splitlines())
    again = stage.fire("EventsScheduleFunction")
    print()
    if mails:
        HTML.parent.mkdir(parents=True, exist_ok=True)
        HTML.write_text(mails[0].html)
        print(f"  The same e-mail as HTML, for a browser: {HTML.relative_to(ROOT)}")
    terminal.paragraph(
        f"{hugo.person.name} also has to-dos, but in Montréal it is {hugo.wall_clock(moment):%H:%M}. He gets"
        " his e-mail in his own morning."
    )
    terminal.paragraph(
        f"Invoked again, the schedule function publishes {again} messages: a user gets one e-mail a day."
    )

    problems = []
    if [mail.to for mail in mails] != [(claire.person.email,)]:
        problems.append(f"morning: mails went to {[mail.to for mail in mails]}")
    if again:
        problems.append(f"morning: the second run published {again} messages")
    shown = "".join("".join(mail.text for mail in mails).split())
    missing = [
        row.description
        for row in stage.rows(IN_THE_MAIL, user_id=claire.user_id, day=day)
        if "".join(row.description.split()) not in shown
    ]
    return problems + [f"morning: not in the mail: {description}" for description in missing]
