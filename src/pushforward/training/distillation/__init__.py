"""Distillation of any teacher into any student: protocols, losses, the run and its report."""

from pushforward.training.distillation.conditionals import FlowConditionals, NoConditionals
from pushforward.training.distillation.divergence import Divergence, Draw
from pushforward.training.distillation.fitting import distill
from pushforward.training.distillation.measurement import evaluate_student
from pushforward.training.distillation.protocol import ConditionalStudent, ConditionalTeacher, Student, Teacher
from pushforward.training.distillation.report import DistillationReport, Speed, Spread

__all__ = [
    "ConditionalStudent",
    "ConditionalTeacher",
    "DistillationReport",
    "Divergence",
    "Draw",
    "FlowConditionals",
    "NoConditionals",
    "Speed",
    "Spread",
    "Student",
    "Teacher",
    "distill",
    "evaluate_student",
]
