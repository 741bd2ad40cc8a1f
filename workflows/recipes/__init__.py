"""The recipes by name.  A file per task; one task may have several schedules.

Importing this package imports no recipe: each is imported when it is asked for.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from trigger.errors import UserError, nearest
from workflows.recipe import Recipe

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "jsc_hlf": "workflows.recipes.jsc_hlf",
        "jsc_hlf_full": "workflows.recipes.jsc_hlf",
        "jsc_plf": "workflows.recipes.jsc_plf",
        "jsc_plf_wide": "workflows.recipes.jsc_plf",
        "jsc_plf_8": "workflows.recipes.jsc_plf",
        "jsc_plf_8_wide": "workflows.recipes.jsc_plf",
        "jsc_plf_32": "workflows.recipes.jsc_plf",
        "jsc_plf_32_wide": "workflows.recipes.jsc_plf",
        "jsc_plf_64": "workflows.recipes.jsc_plf",
        "jsc_plf_64_wide": "workflows.recipes.jsc_plf",
        "l1_jets": "workflows.recipes.l1_jets",
        "top_tag": "workflows.recipes.top_tag",
    }
)
"""Recipe name to the module that holds it in its own `RECIPES`."""


def load(name: str) -> Recipe:
    """Finds a recipe.

    Raises:
        UserError: There is none of that name; the nearest are named.
    """
    if name not in MODULES:
        raise UserError(f"no recipe {name!r}; nearest are {nearest(name, MODULES)}")
    recipe = import_module(MODULES[name]).RECIPES[name]
    assert recipe.name == name
    return recipe
