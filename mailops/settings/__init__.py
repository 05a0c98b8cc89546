"""All settings: what the environment says, and by subject what follows from it."""

from mailops.settings.database import *
from mailops.settings.environment import *
from mailops.settings.log_ins import *
from mailops.settings.logs import *
from mailops.settings.pages import *
from mailops.settings.queues import *
