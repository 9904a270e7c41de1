"""The forecast in words, French and English: the chance, the error, and what it takes to say more."""

from math import floor

from limiter.rules.forecast import NEEDED_DAYS, NEEDED_DAYS_FOR_CHANCE, Forecast
from limiter.rules.forecast.past import Hours, known_days
from limiter.rules.words import Words

TOO_EARLY = Words(
    "Trop tôt : une prévision demande {needed} jours d'historique, il y en a {known:.0f}.",
    "Too early to say: a forecast needs {needed} days of history, there are {known:.0f}.",
)
GAPS = Words(
    "Trop tôt : l'historique a des trous, et aucune heure de la semaine n'y est connue deux fois.",
    "Too early to say: the history has gaps, and no hour of the week is known twice.",
)
TOO_EARLY_FOR_CHANCE = Words(
    "Trop tôt pour une probabilité : elle demande {needed} jours d'historique, il y en a {known:.0f}.",
    "Too early to give a chance: it takes {needed} days of history, there are {known:.0f}.",
)
CHANCE = Words(
    "D'ici {days} jours, le plus haut atteint {share} % de la limite avec une probabilité de {chance:.0f} %.",
    "In the next {days} days the highest reaches {share}% of the limit with a chance of {chance:.0f}%.",
)
WRONG_BY = Words(
    "Erreur moyenne : {error:.1f} {error:bot|bots} par heure (« même heure il y a une semaine » : {naive:.1f}).",
    "The forecast is wrong by {error:.1f} {error:bot|bots} an hour on average (“same hour a week ago”: {naive:.1f}).",
)
CENSORED = Words(
    "La limite a été atteinte pendant {n} h : la demande au-delà n'est pas dans le compte.",
    "The limit was reached in {n} h: demand above it is not in the count.",
)


def said(found: Forecast, days: int, censored_hours: int, language: str) -> str:
    """The chance, the error and what the count does not show, in `fr` or `en`."""
    known = [(100, found.chance[100]), (80, found.chance[80])] if found.chance is not None else []
    lines = [CHANCE.filled(days=days, share=share, chance=100 * chance) for share, chance in known]
    lines.append(WRONG_BY.filled(error=found.error, naive=found.naive_error))
    if censored_hours:
        lines.append(CENSORED.filled(n=censored_hours))
    return " ".join(line.told(language) for line in lines)


def needs(hours: Hours, found: Forecast | None, language: str) -> str | None:
    """What it takes to say more than was found, in `fr` or `en`; None where all is said."""
    known = known_days(hours)
    if found is None and known >= NEEDED_DAYS:
        return GAPS.told(language)
    needed = next((days for days in (NEEDED_DAYS, NEEDED_DAYS_FOR_CHANCE) if known < days), None)
    if needed is None:
        return None
    words = TOO_EARLY if needed == NEEDED_DAYS else TOO_EARLY_FOR_CHANCE
    return words.filled(needed=needed, known=floor(known)).told(language)
