"""What the health checks have to say, well or not: each text one row, in French and English. Facts fill it."""

from limiter.rules.words import Words

WRITABLE = Words("accepte les écritures", "writable")
AWAY = Words("ne prend rien depuis {seconds:.0f} s", "not writable for {seconds:.0f} s")
FULL_DISK = Words(
    "le disque est plein : les bots peuvent s'arrêter, aucun ne démarre",
    "the disk is full: bots can stop, none can start",
)
BATCH = Words("un lot en cours depuis {seconds:.1f} s", "batch under way for {seconds:.1f} s")
IDLE = Words("au repos", "idle")
DRAINING, ACCEPTING = Words("arrêt en cours", "draining"), Words("ouvert", "accepting")
SECONDS_AGO = Words("la dernière il y a {seconds:.0f} s", "last {seconds:.0f} s ago")
RUNNING = Words("en marche", "running")
MOVED = Words(
    "horloge décalée de {seconds:.1f} s depuis le démarrage", "wall clock moved by {seconds:.1f} s since the start"
)
DRIFT = Words("était faux de {drift} : réparé", "was wrong by {drift}: repaired")
NO_DRIFT = Words("le même en mémoire et en base", "the same in memory and rows")
CHANNELS, FAILING = Words("canaux : {n}", "{n} {n:channel|channels}"), Words("en échec : {names}", "{names} failing")
IN_PLACE = Words("à sa place", "in its place")
NAMES = Words(
    "{n} noms : un programme qui l'ouvre par un autre l'abîme",
    "{n} names: a program that opens it by another one spoils it",
)
WRITTEN = Words(
    "un autre programme y a écrit : redémarre le limiteur", "another program wrote to it: restart the limiter"
)
NO_INDEX = Words(
    "son fichier -shm n'est plus là, les autres lisent un état ancien : redémarre le limiteur et la console",
    "its -shm file is gone, and others read an old state: restart limiter and console",
)
SOUND = Words("intègre", "sound")
NOT_READ = Words("pas encore lue : elle attend une minute calme", "not read yet: it waits for a quiet minute")
NOT_WRITTEN = Words(
    "sa fin ne peut être notée hors de la base : voir le journal",
    "its end cannot be written down outside of the database: see the log",
)
NEWEST = Words("ses dernières lignes sont là", "its newest rows are there")
NO_BACKUP = Words("aucune encore", "none yet")
HOURS_AGO = Words("la dernière il y a {hours:.1f} h", "last {hours:.1f} h ago")
THEN_FAILED = Words("{last}, puis une a échoué : voir le journal", "{last}, and then one failed: see the log")
UNREADABLE = Words("illisible", "cannot be read")
MEBIBYTES = Words("{size:.1f} Mio", "{size:.1f} MiB")
FREE = Words("{size:.1f} Gio {size:libre|libres}", "{size:.1f} GiB free")
