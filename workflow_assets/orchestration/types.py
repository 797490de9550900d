"""Declared columns as dagster-pandas types, and as the schema that the UI shows."""

import warnings
from typing import Annotated, Any, get_args, get_origin

import dagster as dg

from workflow_assets.contracts.annotations import Columns
from workflow_assets.contracts.checkers import describe


def declared_columns(annotation: Any) -> Columns | None:
    """Give the columns that a type hint declares, if it does."""
    if get_origin(annotation) is Annotated:
        return next((mark for mark in get_args(annotation) if isinstance(mark, Columns)), None)
    return None


def column_schema(annotation: Any) -> dg.TableSchema | None:
    """Give the schema that the UI shows for a step which declares columns."""
    columns = declared_columns(annotation)
    if columns is None:
        return None
    return dg.TableSchema(
        [
            dg.TableColumn(name, "any" if kind is None else describe(kind))
            for name, kind in columns.columns.items()
        ]
    )


def dataframe_type(name: str, columns: Columns) -> dg.DagsterType:
    """Translate declared columns to a dagster-pandas type, for the inputs and outputs of assets that users write.

    >>> dataframe_type("Cells", Columns(radius=float)).display_name
    'Cells'
    """
    from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type
    from dagster_pandas.constraints import StrictColumnsConstraint

    makers: dict[Any, Any] = {
        None: PandasColumn.exists,
        float: PandasColumn.float_column,
        int: PandasColumn.integer_column,
        bool: PandasColumn.boolean_column,
        str: PandasColumn.string_column,
        "datetime": PandasColumn.datetime_column,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # dagster-pandas calls all its classes a beta
        constraints = None
        if columns.exact:
            constraints = [StrictColumnsConstraint(list(columns.columns))]  # type: ignore[no-untyped-call]
        made: dg.DagsterType = create_dagster_pandas_dataframe_type(  # type: ignore[no-untyped-call]
            name=name,
            columns=[
                makers.get(kind, PandasColumn.exists)(column) for column, kind in columns.columns.items()
            ],
            dataframe_constraints=constraints,
        )
    return made
