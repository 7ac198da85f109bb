"""The people of the demo account, their conversations with Mojo, and their to-dos."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MINUTES_A_DAY = 24 * 60
DAY = timedelta(days=1)
FRIDAY = 4

TASKS = {
    "prepare_meeting_recap": "The user needs a recap of a meeting: decisions, open points and next steps.",
    "write_sales_follow_up": "The user needs a follow-up e-mail after a meeting with a prospect or a "
    "customer.",
    "draft_blog_article": "The user needs the draft of an article for the company's blog.",
}


@dataclass(frozen=True)
class Person:
    """A user to seed. `timezone_offset` is in minutes: local time = UTC - offset."""

    name: str
    email: str
    language: str
    timezone_offset: int
    goal: str
    company: str


@dataclass(frozen=True)
class Plan:
    """A to-do to seed.

    Attributes:
        description: its text.
        days: the days that it was planned for, in order.
        reasons: for each move, so one fewer than the days.
        completed: whether it is done.
    """

    description: str
    days: tuple[date, ...]
    reasons: tuple[str, ...] = ()
    completed: bool = False


@dataclass(frozen=True)
class Story:
    """A task to seed.

    Attributes:
        task: a name of `TASKS`.
        title: the user's title.
        shows: what the extraction must get right, as a short sentence.
        messages: of the user and Mojo, in turn. The user begins.
        result: the produced text.
        minutes_ago: when it was finished.
        expected: for each to-do that the extraction must find, a fragment of its description.
        language: of the conversation.
        continues_earlier: whether it continues the first of the user's earlier tasks.
        deleted: whether the user has deleted it.
        plans: to-dos that an earlier extraction found.
    """

    task: str
    title: str
    shows: str
    messages: Sequence[str]
    result: str
    minutes_ago: int
    expected: tuple[str, ...] = ()
    language: str = "en"
    continues_earlier: bool = False
    deleted: bool = False
    plans: tuple[Plan, ...] = ()


CLAIRE = Person(
    name="Claire Fontaine",
    email="claire@example.com",
    language="en",
    timezone_offset=-120,
    goal="Win ten independent hotels and cafés as customers this year.",
    company="Fontaine Preserves makes organic jams and syrups and sells them to hotels, cafés and delis.",
)
HUGO = Person(
    name="Hugo Lambert",
    email="hugo@example.com",
    language="fr",
    timezone_offset=300,
    goal="Faire connaître les confitures Fontaine au Québec.",
    company="Fontaine Preserves, bureau de Montréal.",
)


def stories(now: datetime) -> list[Story]:
    """Return Claire's tasks of today (`now` is aware). Each shows one rule of the extraction."""
    meeting = now - timedelta(days=16)
    promised = f"{now - timedelta(days=9):%-d %B %Y}"
    return [
        Story(
            task="write_sales_follow_up",
            title="Follow-up to Harbour Lane Hotels",
            shows="One step with its date.",
            messages=(
                "I just met Martin Keller, purchasing manager of Harbour Lane Hotels. "
                "He liked the samples but finds the delivery fee too high.",
                "Good to hear. Did you agree on how it goes on?",
                "Yes. I'll send the revised quote to Martin by Friday. He decides at the end of the month.",
                "Thank you. Here is a follow-up that thanks him and announces the quote.",
            ),
            result="Hello Martin,\n\nThank you for your time today. I am glad that the samples convinced "
            "you. "
            "You will find a new proposal for the delivery fee in my next message.\n\nBest regards,\nClaire",
            minutes_ago=85,
            expected=("revised quote to Martin",),
        ),
        Story(
            task="prepare_meeting_recap",
            title="Recap of the spring range kick-off",
            shows="Several steps, two of them in one sentence.",
            messages=(
                "Recap of the kick-off for the spring range please. We were four: Nadia (design), Tom "
                "(plant), "
                "Julie (legal) and me. We keep three flavours out of five, and the launch stays in March.",
                "Noted. What are the next steps?",
                "Tom checks the capacity of line 2.\n"
                "I will brief the design agency tomorrow, and I need to call Nadia about the labels on "
                "Monday.\n"
                "I promised to share the cost model with Tom in two weeks.",
                "Here is your recap with decisions and next steps.",
            ),
            result="Decisions: three flavours, launch in March.\n"
            "Next steps: capacity of line 2 (Tom), agency briefing, labels and cost model (Claire).",
            minutes_ago=78,
            expected=("design agency", "Nadia about the labels", "cost model with Tom"),
        ),
        Story(
            task="draft_blog_article",
            title="Article: why we went plastic-free",
            shows="No next step, so no to-do.",
            messages=(
                "Write an article on how we removed plastic from our packaging. Friendly tone, 300 words.",
                "With pleasure. Which figures may I use?",
                "We saved 4 tonnes of film last year, and our customers noticed. Should I say that I will "
                "add more?",
                "Better not: the figure speaks for itself. Here is the draft.",
            ),
            result="Four tonnes lighter\n\nA year ago every box that left our plant was wrapped in film. "
            "Today none is. This is how we got there, and what our customers said about it.",
            minutes_ago=71,
        ),
        Story(
            task="prepare_meeting_recap",
            title="Recap of the contract review",
            shows="The next step is somebody else's, so no to-do.",
            messages=(
                "Recap of the contract review with the carrier, short please. We accepted the new fuel "
                "clause "
                "and refused the minimum volume.",
                "Who does what next?",
                "Julie will send the contract to the carrier on Thursday. Nothing on my side.",
                "Here is the recap.",
            ),
            result="Fuel clause accepted, minimum volume refused. Julie sends the contract on Thursday.",
            minutes_ago=64,
        ),
        Story(
            task="write_sales_follow_up",
            title="Second e-mail to Oakfield Dairies",
            shows="The step is already a to-do of the task that this one continues.",
            messages=(
                "Second e-mail to Oakfield Dairies: they want to come and taste the new range with five "
                "people.",
                "Shall the e-mail propose a place?",
                "Our own place. As I said last time, I have to book the tasting room for Oakfield Dairies.",
                "Here is the e-mail.",
            ),
            result="Dear team,\n\nWe would be delighted to have the five of you at our house for a tasting. "
            "Please tell me which afternoon suits you best.\n\nBest regards,\nClaire",
            minutes_ago=57,
            continues_earlier=True,
        ),
        Story(
            task="prepare_meeting_recap",
            title="Compte rendu du point fournisseurs",
            shows="A French conversation gives French to-dos.",
            language="fr",
            messages=(
                "Fais-moi le compte rendu du point fournisseurs de ce matin. Le prix du verre augmente de 6 "
                "% "
                "et la Verrerie des Tilleuls propose un contrat de deux ans.",
                "Bien noté. Quelles sont les prochaines étapes ?",
                "Je vais demander une contre-proposition à la Verrerie des Tilleuls vendredi. "
                "J'enverrai la synthèse à Camille demain matin. Paul prépare le budget.",
                "Voici le compte rendu.",
            ),
            result="Hausse du verre : 6 %. Contrat de deux ans proposé par la Verrerie des Tilleuls. "
            "Budget : Paul. Contre-proposition et synthèse : Claire.",
            minutes_ago=50,
            expected=("contre-proposition à la Verrerie des Tilleuls", "synthèse à Camille"),
        ),
        Story(
            task="prepare_meeting_recap",
            title="Recap of the steering committee",
            shows="The promised day is past, so the to-do is due on the next working day.",
            messages=(
                "I never got round to the recap of our last steering committee, here are my notes. "
                f"Committee of {meeting:%-d %B}: budget approved, hiring postponed.",
                "Better late than never. Were there next steps?",
                "This is what I wrote down that day: I will send the minutes to the committee by "
                f"{promised}.",
                "Here is the recap.",
            ),
            result="Budget approved, hiring postponed to the next quarter.",
            minutes_ago=43,
            expected=("minutes to the committee",),
        ),
        Story(
            task="write_sales_follow_up",
            title="Thank-you note to Bellweather Cafés",
            shows="The result changed two minutes ago, so the task is not due yet.",
            messages=(
                "A thank-you note to Bellweather Cafés for their first order, from me.",
                "Anything to announce?",
                "I'll visit their new shop next week.",
                "Here is the note.",
            ),
            result="Dear all,\n\nThank you for your trust. Your first order is on its way.\n\nClaire",
            minutes_ago=2,
        ),
        Story(
            task="draft_blog_article",
            title="Article: our summer interns",
            shows="The user has deleted it, so it is never due.",
            messages=(
                "A short article about our summer interns.",
                "Whom shall I mention?",
                "All three. I will ask them for a photo tomorrow.",
                "Here is the draft.",
            ),
            result="Three interns, one summer, and a new label that they designed themselves.",
            minutes_ago=30,
            deleted=True,
        ),
    ]


# A document that Mojo learned from Claire. Each paragraph is long enough for a chunk of its own.
NOTES_NAME = "What we have agreed with customers"
NOTES = (
    "Harbour Lane Hotels have nine houses on the coast and one in the hills. Martin Keller buys for all of"
    " them, decides at the end of a month, and does not like to be called before ten. He has tasted the"
    " breakfast jars and wants apricot, raspberry and fig, four boxes a house and month. The delivery fee of"
    " 19 euros for each house is what he objects to. We have offered to bring everything to the central"
    " laundry in Antibes once a fortnight, where their own van picks it up. He has not answered yet, and will"
    " compare it with what his present supplier says.",
    "Bellweather Cafés run seven cafés, all near railway stations, and open at half past five. Their first"
    " order was elderflower syrup in kegs and a mixed pallet of jams for the shelf behind the counter. They"
    " pay by direct debit, which gives them two per cent. Deliveries must come before seven or after ten,"
    " because the street is closed in between. Sonja looks after quality there and needs the allergen sheet"
    " again each season, with the walnut jam on a page of its own. Empty kegs are kept in the yard of the"
    " shop in the north, whose key is with the baker next door.",
    "Oakfield Dairies make yoghurt in glass and look for fruit to put under it. They need buckets of twelve"
    " kilograms, less sugar than in a jam, and pieces that do not float. Tom says that line 2 can do it from"
    " May on, but not in the weeks of the apricots. They would begin with two hundred kilograms a month and"
    " want the price to hold for a year. Five of them will come to Grasse for a tasting; two do not eat"
    " gelatine, which we do not use anyway. Whoever writes to them should know that they call each other by"
    " their first names and answer on the same day.",
    "Pinewood Deli is small and matters to us, since journalists go there. Miriam and her brother order"
    " fourteen jars of rhubarb and vanilla a week, always on a Sunday evening and always by text message. She"
    " has agreed to be portrayed as a customer, provided that she sees the text first and that no picture"
    " shows the queue. Their shelf is forty centimetres deep, so boxes of twelve do not fit, and Tom packs"
    " theirs in two rows of six. In August they are closed for three weeks, and the standing order rests. She"
    " likes handwritten cards and keeps all of them.",
)
# Claire's new first paragraph.
NOTES_EDITED = (
    "Harbour Lane Hotels have nine houses on the coast and one in the hills. Martin Keller buys for all of"
    " them, decides at the end of a month, and does not like to be called before ten. He takes apricot,"
    " raspberry and fig breakfast jars, four boxes a house and month, from January on. On the delivery fee we"
    " have agreed: they pay nothing at all, as we bring everything to their central laundry in Antibes on"
    " every second Tuesday, and their own van does the rest. In return they order for a whole year, and their"
    " guests read our name on the lid, below that of the house."
)


def working_day(day: date, step: int) -> date:
    """Return the next Monday to Friday after a day (step 1), or the last one before it (step -1)."""
    day += step * DAY
    while day.weekday() > FRIDAY:
        day += step * DAY
    return day


SIMPLE = "Send the allergen sheet to Bellweather Cafés"
SLIPPING = "Write the customer story about Pinewood Deli for the website"
COMPLETED = "Order fifty sample jars for Bellweather Cafés"
HUGOS_MOVED = "Préparer la dégustation au marché Jean-Talon"
# The reasons for two moves, for `preview`, where no model is asked for them.
SLIPPING_REASON = (
    "It has waited for six weeks and was moved 5 times already. Nothing else is planned that day: block half"
    " an hour for a first paragraph, or ask Nadia to write it with you."
)
HUGOS_REASON = (
    "Ce jour-là, une seule autre tâche est prévue : vous aurez le temps de tout préparer d'une traite."
)


def earlier(today: date) -> list[Story]:
    """Return Claire's earlier tasks and their to-dos, on her local day `today`."""
    morning, yesterday = working_day(today, 1), working_day(today, -1)
    weeks = tuple(yesterday - 7 * n * DAY for n in range(5, -1, -1))
    return [
        Story(
            task="write_sales_follow_up",
            title="First call with Oakfield Dairies",
            shows="",
            messages=(
                "A follow-up to my first call with Oakfield Dairies, who look for a supplier of jams.",
                "What did you agree on?",
                "A tasting. I have to book the tasting room for Oakfield Dairies.",
                "Here is the follow-up.",
            ),
            result="Dear team,\n\nThank you for the call. We look forward to a tasting together.\n\nClaire",
            minutes_ago=3 * MINUTES_A_DAY,
            plans=(Plan("Book the tasting room for Oakfield Dairies", (working_day(morning, 1),)),),
        ),
        Story(
            task="write_sales_follow_up",
            title="Welcome to Bellweather Cafés",
            shows="",
            messages=(
                "A welcome e-mail to Bellweather Cafés, our newest customer.",
                "Which next steps shall it name?",
                "I will send the allergen sheet, order fifty sample jars and prepare the spring price list.",
                "Here is the e-mail.",
            ),
            result="Dear all,\n\nWelcome! You will soon hear from us.\n\nBest regards,\nClaire",
            minutes_ago=6 * MINUTES_A_DAY,
            plans=(
                Plan(SIMPLE, (yesterday,)),
                Plan(COMPLETED, (yesterday,), completed=True),
                Plan("Prepare the spring price list for Bellweather Cafés", (morning,)),
            ),
        ),
        Story(
            task="draft_blog_article",
            title="Article: our customers and their breakfasts",
            shows="",
            messages=(
                "The plan of an article on what our customers do with our jams.",
                "Whom shall it portray?",
                "Pinewood Deli. I will call them about their photos and write their customer story.",
                "Here is the plan.",
            ),
            result="Three breakfasts, three customers\n\n1. Pinewood Deli: the toast that sells out by nine.",
            minutes_ago=(today - weeks[0]).days * MINUTES_A_DAY + 3 * MINUTES_A_DAY,
            plans=(
                Plan(
                    SLIPPING,
                    weeks,
                    (
                        "Two quotes were more urgent.",
                        "Pinewood Deli had not sent their photos yet.",
                        "The week was full of tastings.",
                        "You wanted to write it after the trade fair.",
                        "The kick-off of the spring range came first.",
                    ),
                ),
                Plan("Call Pinewood Deli about their photos", (morning,)),
            ),
        ),
    ]


def hugos(today: date) -> list[Story]:
    """Return Hugo's task and its to-dos, on the local day `today`."""
    morning, yesterday = working_day(today, 1), working_day(today, -1)
    return [
        Story(
            task="prepare_meeting_recap",
            title="Visite du marché Atwater",
            shows="",
            language="fr",
            messages=(
                "Le compte rendu de ma visite au marché Atwater, s'il te plaît.",
                "Quelles sont les prochaines étapes ?",
                "J'enverrai les photos à Camille, j'appellerai l'imprimeur, je relirai le contrat et je "
                "préparerai la dégustation.",
                "Voici le compte rendu.",
            ),
            result="Deux stands intéressés. Prochaines étapes : photos, étiquettes, contrat (Hugo).",
            minutes_ago=2 * MINUTES_A_DAY,
            plans=(
                Plan("Envoyer les photos du marché Atwater à Camille", (morning,)),
                Plan("Appeler l'imprimeur au sujet des étiquettes bilingues", (morning,)),
                Plan("Relire le contrat du distributeur", (yesterday,)),
                Plan(HUGOS_MOVED, (yesterday,)),
            ),
        )
    ]
